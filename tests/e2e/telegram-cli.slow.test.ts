import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { commands } from "@parley/core/telegram/texts";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import {
  BOT,
  startTestBotApi,
  startWebhookServer,
  type TestBotApi,
  type WebhookServer,
} from "../support/bot-api.ts";
import { removeTemporaryFolders, runParley, temporaryFolder } from "../support/parley.ts";

const SECRET = "s3cret-of-the-webhook";
const OTHER = { token: "5151:another-token", username: "other_bot" };
const NAMES = commands.map(({ command }) => command);

let api: TestBotApi;
let hook: WebhookServer;
/** Where the webhook's server is. */
let address: string;
let status: number;
let env: Record<string, string>;
/** A user's private chat with the bot. */
let chat: number;

beforeAll(async () => {
  hook = await startWebhookServer(() => ({ status }));
  address = new URL(hook.url).origin;
});
beforeEach(async () => {
  status = 200;
  hook.deliveries.length = 0;
  api = await startTestBotApi({ bots: [BOT, OTHER] });
  chat = (await api.control.createUser()).id;
  await api.control.createPrivateChat({ user: chat });
  env = {
    TELEGRAM_BOTS: `${BOT.username}=${BOT.token}`,
    TELEGRAM_API_ROOT: api.url,
    TELEGRAM_WEBHOOK_SECRET: `${SECRET},the-secret-before-it`,
  };
});
afterEach(() => Promise.all([api.close(), removeTemporaryFolders()]));
afterAll(() => hook.close());

async function run(args: string[], own: Record<string, string> = {}) {
  const ended = await runParley(["telegram", ...args], { env: { ...env, ...own } });
  for (const secret of [BOT.token, OTHER.token, SECRET])
    expect(ended.stdout + ended.stderr).not.toContain(secret);
  return { code: ended.code, stdout: ended.stdout, stderr: ended.stderr };
}

const done = (stdout: string) => ({ code: 0, stdout, stderr: "" });
const failed = (stderr: string, code = 1) => ({ code, stdout: "", stderr });
const wrongUsage = (line: string) =>
  failed(`telegram: ${line}\nnpm run telegram -- --help lists the commands\n`, 2);
const webhook = async (token = BOT.token) => (await api.call("getWebhookInfo", {}, token)).result;
const offered = async () => (await api.control.commands({ chat, user: chat })).map(({ command }) => command);
const calls = async () => (await api.control.counters()).calls;

describe("set-webhook", () => {
  test("Telegram delivers there, with the current secret, what the receiver reads; the commands are set", async () => {
    const url = `${address}/telegram/test_bot`;
    expect(await run(["set-webhook", address])).toEqual(done(`@test_bot: Telegram delivers to ${url}\n`));
    expect(await webhook()).toMatchObject({
      url,
      allowed_updates: ["message", "edited_message", "callback_query"],
    });
    expect(await offered()).toEqual(NAMES);
    await api.control.send({ chat, text: "hello" });
    const [delivery] = await hook.received(1);
    expect(delivery?.headers["x-telegram-bot-api-secret-token"]).toBe(SECRET);
  });

  test("the address may have a path, and end in slashes", async () => {
    expect((await run(["set-webhook", "https://API.example:8443/stage//"])).code).toBe(0);
    expect((await webhook()).url).toBe("https://api.example:8443/stage/telegram/test_bot");
  });

  test("what waits is delivered, or with --drop-pending forgotten", async () => {
    await api.control.send({ chat, text: "kept" });
    await run(["set-webhook", address]);
    await hook.received(1);
    await api.call("deleteWebhook");
    await api.control.send({ chat, text: "forgotten" });
    await run(["set-webhook", "--drop-pending", address]);
    await api.control.send({ chat, text: "new" });
    const texts = (await hook.received(2)).map(({ update }) => update.message.text);
    expect(texts).toEqual(["kept", "new"]);
  });
});

test("wrong usage is one line and where to read more, and Telegram is not asked", async () => {
  const notHttps = "is no address for a webhook: Telegram wants https";
  const lines: [line: string, ...args: string[]][] = [
    ["set-webhook needs the API's address", "set-webhook"],
    [`http://api.example ${notHttps}`, "set-webhook", "http://api.example"],
    [`api.example ${notHttps}`, "set-webhook", "api.example"],
    ["this is too much: https://b.example", "set-webhook", "https://a.example", "https://b.example"],
    ["a command is missing"],
    ["there is no command sing", "sing"],
    ["there is no command toString", "toString"],
    ["this is too much: https://a.example", "info", "https://a.example"],
    ["this is too much: please", "secret", "please"],
    ["this is too much: hello", "chat", "hello"],
  ];
  const ended = await Promise.all(lines.map(([, ...args]) => run(args, { TELEGRAM_BOTS: "" })));
  expect(ended).toEqual(lines.map(([line]) => wrongUsage(line)));
  const unknown = await run(["info", "--nope"]);
  expect(unknown).toEqual({ ...unknown, code: 2, stderr: expect.stringContaining("--nope") });
  expect(await calls()).toEqual({});
});

describe("the other commands", () => {
  test("info tells where Telegram delivers to, what waits, and the last error", async () => {
    expect(await run(["info"])).toEqual(done("@test_bot: no webhook is set\n  waiting: 0\n"));
    status = 500;
    await api.call("setWebhook", { url: hook.url });
    await api.control.send({ chat, text: "hello" });
    await hook.received(1);
    const { code, stdout } = await run(["info"]);
    expect([code, stdout.split("\n")]).toEqual([
      0,
      [
        `@test_bot: Telegram delivers to ${hook.url}`,
        "  waiting: 1",
        expect.stringMatching(
          /^ {2}last error: Wrong response from the webhook: 500 .*\(\d{4}-\d\d-\d\dT.*Z\)$/,
        ),
        "",
      ],
    ]);
  });

  test("delete-webhook keeps what waits, unless --drop-pending forgets it", async () => {
    await api.call("setWebhook", { url: hook.url });
    status = 500;
    await api.control.send({ chat, text: "hello" });
    await hook.received(1);
    const told = done("@test_bot: Telegram delivers nowhere\n");
    expect(await run(["delete-webhook"])).toEqual(told);
    expect(await webhook()).toMatchObject({ url: "", pending_update_count: 1 });
    expect(await run(["delete-webhook", "--drop-pending"])).toEqual(told);
    expect(await webhook()).toMatchObject({ url: "", pending_update_count: 0 });
  });

  test("set-commands sets what clients offer, and no webhook", async () => {
    const listed = NAMES.map((name) => `/${name}`).join(" ");
    expect(await run(["set-commands"])).toEqual(done(`@test_bot: ${listed}\n`));
    expect(await offered()).toEqual(NAMES);
    expect((await webhook()).url).toBe("");
  });

  test("secret makes one that the settings take, another each time", async () => {
    const [one, another] = await Promise.all([run(["secret"]), run(["secret"])]);
    expect(one).toEqual(done(expect.stringMatching(/^[\w-]{64}\n$/)));
    expect(another.stdout).not.toBe(one.stdout);
  });

  test("--help says what there is", async () => {
    for (const ended of await Promise.all([run(["--help"]), run(["info", "-h"])])) {
      expect([ended.code, ended.stderr]).toEqual([0, ""]);
      for (const command of ["set-webhook", "info", "delete-webhook", "set-commands", "secret", "chat"]) {
        expect(ended.stdout).toMatch(new RegExp(`^ {2}${command} `, "m"));
      }
    }
  });
});

describe("several bots", () => {
  const both = { TELEGRAM_BOTS: `${BOT.username}=${BOT.token},@Other_Bot=${OTHER.token}` };

  test("are all meant, unless --bot names one", async () => {
    expect((await run(["set-webhook", "https://api.example"], both)).stdout).toBe(
      "@test_bot: Telegram delivers to https://api.example/telegram/test_bot\n" +
        "@Other_Bot: Telegram delivers to https://api.example/telegram/Other_Bot\n",
    );
    expect((await webhook(OTHER.token)).url).toBe("https://api.example/telegram/Other_Bot");
    await run(["delete-webhook", "--bot", "@other_bot"], both);
    expect((await webhook(OTHER.token)).url).toBe("");
    expect((await webhook()).url).toBe("https://api.example/telegram/test_bot");
  });

  test("one that --bot names and nobody knows is named", async () => {
    expect(await run(["info", "--bot", "third_bot"], both)).toEqual(
      failed("telegram: TELEGRAM_BOTS has no bot called third_bot\n"),
    );
  });

  test("one that fails is told, and the others are served", async () => {
    const TELEGRAM_BOTS = `@test_bot=4242:another-t0ken,other_bot=${OTHER.token}`;
    const ended = await run(["info"], { TELEGRAM_BOTS });
    expect(ended).toEqual({
      code: 1,
      stdout: "@other_bot: no webhook is set\n  waiting: 0\n",
      stderr: "telegram: @test_bot: Telegram does not know the token in TELEGRAM_BOTS (Unauthorized)\n",
    });
  });
});

describe("what cannot be done is one line, without the token", () => {
  test("a name that is not the token's", async () => {
    const line =
      "telegram: @some_bot: TELEGRAM_BOTS calls the bot some_bot, but its token is that of test_bot\n";
    const TELEGRAM_BOTS = `some_bot=${BOT.token}`;
    expect(await run(["set-webhook", "https://api.example"], { TELEGRAM_BOTS })).toEqual(failed(line));
    expect((await webhook()).url).toBe("");
  });

  test("what Telegram says", async () => {
    const ended = await run(["set-webhook", "https://api.example:1234"]);
    expect(ended).toEqual(failed(expect.stringMatching(/^telegram: @test_bot: Telegram says: .*port.*\n$/)));
  });

  test("a Telegram that is out of reach", async () => {
    const line = "telegram: @test_bot: Telegram cannot be reached (TELEGRAM_API_ROOT, or the network)\n";
    // Nobody listens; somebody does who is not Telegram; and somebody who breaks the connection.
    await api.control.addFault({ kind: "request_lost" });
    for (const TELEGRAM_API_ROOT of ["http://127.0.0.1:1", address, api.url]) {
      expect(await run(["info"], { TELEGRAM_API_ROOT })).toEqual(failed(line));
    }
  });
});

describe("settings", () => {
  const BOTS = "TELEGRAM_BOTS";
  const WEBHOOK_SECRET = "TELEGRAM_WEBHOOK_SECRET";

  test("one that is missing or wrong is named", async () => {
    const cases: [named: string, own: Record<string, string>, ...args: string[]][] = [
      [`${BOTS}: is not set`, { [BOTS]: "" }, "info"],
      [`${BOTS}: is not a list of username=token`, { [BOTS]: BOT.token }, "info"],
      [`${WEBHOOK_SECRET}: is not set`, { [WEBHOOK_SECRET]: " " }, "set-webhook", "https://a.example"],
      ["TELEGRAM_API_ROOT: ", { TELEGRAM_API_ROOT: "telegram" }, "set-commands"],
    ];
    const ended = await Promise.all(cases.map(([, own, ...args]) => run(args, own)));
    expect(ended).toEqual(
      cases.map(([named]) => failed(expect.stringContaining(`telegram: Wrong settings: ${named}`))),
    );
    expect(await calls()).toEqual({});
  });

  test("nothing is asked for that a command does not need", async () => {
    const none = { [BOTS]: "", [WEBHOOK_SECRET]: "", TELEGRAM_API_ROOT: "nowhere" };
    const unneeded = { [WEBHOOK_SECRET]: "", TELEGRAM_ALLOWED_USERS: "@ada", TELEGRAM_QUEUE_URL: "nowhere" };
    const ended = await Promise.all([
      run(["secret"], none),
      ...["info", "set-commands", "delete-webhook"].map((command) => run([command], unneeded)),
      run(["set-webhook", "https://a.example"], { TELEGRAM_ALLOWED_USERS: "@ada" }),
    ]);
    expect(ended.map(({ code, stderr }) => [code, stderr])).toEqual(ended.map(() => [0, ""]));
  });

  test("come from a file, and the environment overrides it", async () => {
    const settings = join(await temporaryFolder(), "settings.env");
    await writeFile(settings, `${BOTS}=${BOT.username}=${BOT.token}\nTELEGRAM_API_ROOT=http://127.0.0.1:1\n`);
    const { code, stdout } = await runParley(["telegram", "info"], {
      settings,
      env: { TELEGRAM_API_ROOT: api.url },
    });
    expect([code, stdout]).toEqual([0, "@test_bot: no webhook is set\n  waiting: 0\n"]);
  });
});
