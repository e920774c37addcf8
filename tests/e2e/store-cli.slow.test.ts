import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createMongoClient } from "@parley/core/conversation/mongo-client";
import { mongoIndexes } from "@parley/core/conversation/mongo-schema";
import { startDynamo } from "@parley/local/dynamodb/server";
import { startMongo } from "@parley/local/mongodb/server";
import { afterEach, describe, expect, test } from "vitest";
import { removeTemporaryFolders, runParley, startParley, temporaryFolder } from "../support/parley.ts";

const closing: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).toReversed()) await close();
  await removeTemporaryFolders();
});

async function run(args: string[], env: Record<string, string> = {}, data?: string) {
  const ended = await runParley(["store", ...args], { env: { STORE: "", ...env }, ...(data && { data }) });
  return { code: ended.code, stdout: ended.stdout, stderr: ended.stderr };
}

const COLLECTIONS = Object.keys(mongoIndexes);
const done = (...lines: string[]) => ({
  code: 0,
  stdout: lines.map((line) => `${line}\n`).join(""),
  stderr: "",
});

describe("migrate", () => {
  test("makes MongoDB's collections with their indexes, twice as once", async () => {
    const mongo = await startMongo();
    closing.push(() => mongo.close());
    const env = { STORE: "mongodb", MONGODB_URI: mongo.url, MONGODB_DATABASE: "mine" };
    const host = new URL(mongo.url).host;
    for (let twice = 0; twice < 2; twice++) {
      expect(await run(["migrate"], env)).toEqual(
        done(
          `MongoDB at ${host}, database mine`,
          ...COLLECTIONS.map((name) => `  collection ${name}: ready`),
        ),
      );
    }
    const client = createMongoClient(mongo.url);
    closing.push(() => client.close());
    for (const [name, wanted] of Object.entries(mongoIndexes)) {
      const there = await client.db("mine").collection(name).indexes();
      for (const index of wanted) expect(there).toContainEqual({ v: 2, ...index });
    }
  });

  test("makes DynamoDB's table, removed items and all, twice as once", async () => {
    const dynamo = await startDynamo();
    closing.push(() => dynamo.close());
    const env = { AWS_ENDPOINT_URL_DYNAMODB: dynamo.url, CONVERSATIONS_TABLE: "mine" };
    for (let twice = 0; twice < 2; twice++) {
      expect(await run(["migrate"], env)).toEqual(
        done(
          `DynamoDB at ${new URL(dynamo.url).host}`,
          "  table mine: ready",
          "  time to live on expires_at: on",
        ),
      );
    }
    expect(dynamo.requests().byOperation).toMatchObject({ CreateTable: 2, UpdateTimeToLive: 1 });
  });

  test("without settings makes the store on this machine, unless another Parley has it", async () => {
    const data = await temporaryFolder();
    const made = await run(["migrate"], { STORE: "mongodb" }, data);
    expect(made).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/^MongoDB emulated, in .*mongodb\n/),
    });
    const dev = await startParley(["dev"], { data, env: { PORT: "0", STORE: "mongodb" } });
    closing.push(async () => {
      dev.kill("SIGTERM");
      await dev.finished;
    });
    await expect.poll(() => dev.output(), { timeout: 15_000 }).toMatch(/curl/);
    expect(await run(["migrate"], { STORE: "mongodb" }, data)).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/^another Parley has .*mongodb, which has made it ready\n$/),
    });
    expect(await run(["migrate"], {}, data)).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/^DynamoDB emulated, in .*dynamodb\n {2}table parley: ready\n/),
    });
  });

  test("what cannot be done is one line, without the password", async () => {
    const mongo = { STORE: "mongodb", MONGODB_URI: "mongodb://parley:hunter2@127.0.0.1:1/" };
    const failures: [env: Record<string, string>, line: RegExp][] = [
      [mongo, /^store: MONGODB_URI: 127\.0\.0\.1:1 says: .*ECONNREFUSED.*\n$/],
      [
        { ...mongo, MONGODB_URI: "mongodb://a:hunter2@b@c/" },
        /^store: .*MONGODB_URI: is not a MongoDB connection string/,
      ],
      [{ ...mongo, MONGODB_URI: "hunter2" }, /^store: .*MONGODB_URI: must be a mongodb/],
      [{ STORE: "hunter2" }, /^store: .*STORE: must be dynamodb or mongodb/],
      [{ DYNAMODB: "aws" }, /^store: DYNAMODB=aws needs CONVERSATIONS_TABLE/],
    ];
    const all = await Promise.all(
      failures.map(async ([env, line]) => ({ ended: await run(["migrate"], env), line })),
    );
    for (const { ended, line } of all) {
      expect(ended).toMatchObject({ code: 1, stderr: expect.stringMatching(line) });
      expect(ended.stdout + ended.stderr).not.toContain("hunter2");
    }
  });
});

describe("forget", () => {
  const user = ["--platform", "telegram", "--user", "123"];

  test("of a store that has nothing of the user says so, twice as once", async () => {
    const data = await temporaryFolder();
    for (const STORE of ["dynamodb", "mongodb"]) {
      for (let twice = 0; twice < 2; twice++) {
        expect(await run(["forget", ...user], { STORE }, data)).toMatchObject({
          code: 0,
          stdout: expect.stringMatching(/^ {2}conversations +0$.*^ {2}keys in Redis +not looked at$/ms),
          stderr: "",
        });
      }
    }
  });

  test("on a real store wants to know its Redis, and what cannot be done is one line", async () => {
    const dynamo = await startDynamo();
    closing.push(() => dynamo.close());
    const env = { AWS_ENDPOINT_URL_DYNAMODB: dynamo.url };
    await run(["migrate"], env);
    const failures: [args: string[], own: Record<string, string>, line: RegExp][] = [
      [[], {}, /^store: UPSTASH_REDIS_REST_URL is not set: .* --without-redis\n$/],
      [[], { UPSTASH_REDIS_REST_URL: "http://127.0.0.1:1" }, /^store: .*UPSTASH_REDIS_REST_TOKEN is not\n$/],
      [["--without-redis", "--from", "nowhere"], {}, /^store: --from is not a position/],
      [["--without-redis"], { CONVERSATIONS_TABLE: "none" }, /^store: .+\n$/],
    ];
    for (const [args, own, line] of failures) {
      const ended = await run(["forget", ...user, ...args], { ...env, ...own });
      expect(ended).toMatchObject({ code: 1, stderr: expect.stringMatching(line) });
    }
    expect(await run(["forget", ...user, "--without-redis", "--dry-run"], env)).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/would be erased of user 123 on telegram:.*nothing was changed\n$/s),
    });
  });
});

describe("prompt", () => {
  test.each(["dynamodb", "mongodb"])("shows, sets and resets, on %s", async (STORE) => {
    const data = await temporaryFolder();
    const prompt = (...args: string[]) => run(["prompt", ...args], { STORE }, data);
    const shown = await prompt("show");
    expect(shown).toMatchObject({ code: 0, stderr: expect.stringContaining("built-in ones are in force") });
    expect(JSON.parse(shown.stdout)).toMatchObject({
      platforms: { telegram: expect.stringContaining("Telegram") },
    });

    const file = join(data, "prompts.json");
    const json = JSON.stringify({ version: "2", platforms: { telegram: "Be brief." } });
    await writeFile(file, json);
    expect(await prompt("set", file)).toEqual(done("prompts 2 for telegram: in force within five minutes"));
    expect(await prompt("show")).toEqual(done(json));

    await writeFile(file, `{"version":"2 and more","default":"hunter2"}`);
    const refused = await prompt("set", file);
    expect(refused).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/^store: the prompts cannot be used: version: \w+\n$/),
    });
    expect(await prompt("show")).toEqual(done(json));
    expect(await prompt("reset")).toMatchObject({ code: 0 });
    expect((await prompt("show")).stderr).toContain("built-in ones are in force");
  });
});

test("wrong usage is one line and where to read more; --help tells it", async () => {
  const lines: [line: string, ...args: string[]][] = [
    ["a command is missing"],
    ["there is no command sing", "sing"],
    ["there is no command toString", "toString"],
    ["this is too much: please", "migrate", "please"],
    ["--platform is for forget", "migrate", "--platform", "telegram"],
    ["forget needs --platform", "forget", "--user", "123"],
    ["forget needs --user", "forget", "--platform", "telegram", "--user", ""],
    ["this is too much: 123", "forget", "123", "--platform", "telegram", "--user", "123"],
    ["prompt needs show, set or reset", "prompt"],
    ["prompt needs show, set or reset", "prompt", "sing"],
    ["prompt set needs a file, or - for standard input", "prompt", "set"],
    ["this is too much: now", "prompt", "reset", "now"],
  ];
  const ended = await Promise.all(lines.map(([, ...args]) => run(args)));
  expect(ended).toEqual(
    lines.map(([line]) => ({
      code: 2,
      stdout: "",
      stderr: `store: ${line}\nnpm run store -- --help lists the commands\n`,
    })),
  );
  expect(await run(["migrate", "--nope"])).toMatchObject({
    code: 2,
    stderr: expect.stringContaining("--nope"),
  });
  expect(await run(["--help"])).toMatchObject({
    code: 0,
    stdout: expect.stringMatching(/^ {2}migrate .*^ {2}forget .*^ {2}prompt show /ms),
    stderr: "",
  });
});
