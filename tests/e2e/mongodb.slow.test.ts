import { randomUUID } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startMongo } from "@parley/local/mongodb/server";
import { type Stack, type StackOptions, startStack } from "@parley/local/stack";
import { connectControl } from "@parley/local/telegram/control-http";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { removeTemporaryFolders, runParley, temporaryFolder } from "../support/parley.ts";

/** The local stack with `STORE=mongodb`: its functions behind the gateway, over the driver, on our own MongoDB. */

let dataDir: string;
const opened: { close(): Promise<void> }[] = [];

beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), "parley-mongodb-"));
});
afterEach(async () => {
  for (const each of opened.splice(0).toReversed()) await each.close();
  await rm(dataDir, { recursive: true });
  await removeTemporaryFolders();
});

async function open(env: Record<string, string> = {}, options: Partial<StackOptions> = {}): Promise<Stack> {
  const stack = await startStack({ env: { STORE: "mongodb", ...env }, dataDir, ...options });
  opened.push(stack);
  return stack;
}

async function api(stack: Stack, method: string, path: string, body?: object) {
  const response = await fetch(`${stack.url}${path}`, {
    method,
    ...(body && {
      body: JSON.stringify(body),
      headers: { "content-type": "application/json", "idempotency-key": randomUUID() },
    }),
  });
  const text = await response.text();
  return { status: response.status, json: JSON.parse(text || "{}") as Record<string, unknown> };
}

const storeOf = (stack: Stack) => stack.summary.find(({ part }) => part === "Store");

/** Everything that one does with a conversation. */
async function liveThrough(stack: Stack): Promise<void> {
  const started = await api(stack, "POST", "/v1/conversations", {
    message: "What's the weather in Barcelona?",
  });
  expect(started).toMatchObject({
    status: 201,
    json: { reply: expect.stringMatching(/Barcelona.*simulated/) },
  });
  const path = `/v1/conversations/${started.json["conversation_id"]}`;
  const next = await api(stack, "POST", `${path}/messages`, { message: "And tomorrow?" });
  expect(next).toMatchObject({ status: 200, json: { reply: expect.stringContaining("in Barcelona") } });
  const listed = await api(stack, "GET", "/v1/conversations");
  expect(listed.json["conversations"]).toMatchObject([{ title: started.json["title"] }]);
  const roles = ["USER", "ASSISTANT", "USER", "ASSISTANT"].map((role) => ({ role }));
  expect((await api(stack, "GET", path)).json).toMatchObject({ conversation: { messages: roles } });
  expect((await api(stack, "GET", `${path}/export`)).json["messages"]).toMatchObject(roles);
  expect((await api(stack, "GET", "/ready")).json).toMatchObject({ store: { ok: true } });
  expect((await api(stack, "DELETE", path)).status).toBe(204);
  expect((await api(stack, "GET", path)).status).toBe(404);
  expect((await api(stack, "GET", "/v1/conversations")).json["conversations"]).toEqual([]);
}

// Eight functions, each with its cold start.
test("start, continue, list, describe, export, delete", { timeout: 60_000 }, async () => {
  const stack = await open();
  expect(storeOf(stack)).toEqual({
    part: "Store",
    kind: "local",
    what: `MongoDB emulated, in ${join(dataDir, "mongodb")}`,
  });
  expect(stack.env).not.toHaveProperty("AWS_ENDPOINT_URL_DYNAMODB");
  await liveThrough(stack);
});

test("a MongoDB that is named is used, and made ready at the start", async () => {
  const mongo = await startMongo();
  opened.push(mongo);
  const stack = await open({ MONGODB_URI: mongo.url, MONGODB_DATABASE: "mine" });
  const what = `MongoDB at ${new URL(mongo.url).host}, database mine`;
  expect(storeOf(stack)).toEqual({ part: "Store", kind: "real", what });
  expect(mongo.requests().byOperation).toEqual({ createIndexes: 5 });
  expect((await api(stack, "POST", "/v1/conversations", { message: "Hello" })).status).toBe(201);
  expect(mongo.requests().byOperation).toMatchObject({ insert: 1, commitTransaction: 2 });
});

test("without Redis a chat goes on, and /ready says so", async () => {
  const stack = await open({
    UPSTASH_REDIS_REST_URL: "http://127.0.0.1:1",
    UPSTASH_REDIS_REST_TOKEN: "none",
  });
  const session_metadata = { platform: "cli", user_id: "me", chat_id: "1" };
  const say = (message: string) => api(stack, "POST", "/v1/messages", { message, session_metadata });
  const first = await say("What's the weather in Barcelona?");
  const second = await say("And tomorrow?");
  expect(second.json).toMatchObject({
    conversation_id: first.json["conversation_id"],
    reply: expect.stringContaining("in Barcelona"),
  });
  expect((await api(stack, "GET", "/ready")).json).toMatchObject({ status: "degraded", store: { ok: true } });
});

test("while MongoDB is gone, /ready is 503 and messages are refused; then both are back", async () => {
  const mongo = await startMongo();
  opened.push(mongo);
  const stack = await open({ MONGODB_URI: mongo.url });
  expect((await api(stack, "GET", "/ready")).status).toBe(200);
  const lift = mongo.inject({ kind: "drop-before", times: Number.POSITIVE_INFINITY });
  expect(await api(stack, "GET", "/ready")).toMatchObject({ status: 503, json: { store: { ok: false } } });
  const refused = await api(stack, "POST", "/v1/conversations", { message: "Hello" });
  expect(refused).toMatchObject({ status: 503, json: { code: "unavailable" } });
  expect(JSON.stringify(refused.json)).not.toMatch(/mongo|127\.0\.0\.1/i);
  lift();
  expect((await api(stack, "GET", "/ready")).status).toBe(200);
  expect((await api(stack, "POST", "/v1/conversations", { message: "Hello" })).status).toBe(201);
});

test("an update goes through the webhook, the queue and the worker, and its answer through the outbox", async () => {
  const mongo = await startMongo();
  opened.push(mongo);
  const stack = await open({ MONGODB_URI: mongo.url }, { telegram: true });
  const control = connectControl(stack.botApiUrl ?? "");
  const { id: chat } = await control.createUser();
  await control.createPrivateChat({ user: chat });
  for (const text of ["What's the weather in Barcelona?", "And tomorrow?"])
    await control.send({ chat, text });
  const said = async () =>
    (await control.transcript({ chat })).messages.filter(({ from }) => from?.is_bot === true);
  await expect
    .poll(said, { timeout: 15_000 })
    .toMatchObject([
      { text: expect.stringMatching(/Barcelona.*simulated/) },
      { text: expect.stringContaining("in Barcelona") },
    ]);
  // Each answer was stored before it was sent, in MongoDB, and settled.
  expect(mongo.requests().byOperation["insert"]).toBeGreaterThanOrEqual(4);
});

describe("npm start", () => {
  test("answers, and remembers when it is started again", async () => {
    const data = await temporaryFolder();
    const env = { STORE: "mongodb" };
    const first = await runParley(["start", "What's the weather in Barcelona?"], { env, data });
    expect(first).toMatchObject({ code: 0, stdout: expect.stringMatching(/Barcelona.*simulated/) });
    expect(first.stderr).toMatch(/^ {2}Store +local +MongoDB emulated, in /m);
    dataDir = data;
    const stack = await open();
    const { json } = await api(stack, "GET", "/v1/conversations");
    expect(json["conversations"]).toHaveLength(1);
  });

  test("a MongoDB that cannot be reached is one line", async () => {
    const env = { STORE: "mongodb", MONGODB_URI: "mongodb://me:hunter2@127.0.0.1:1/" };
    const { code, stdout, stderr } = await runParley(["start", "-q", "hello"], { env });
    expect([code, stdout]).toEqual([1, ""]);
    expect(stderr).toMatch(/^parley: MONGODB_URI: 127\.0\.0\.1:1 says: .+\n$/);
    expect(stderr).not.toContain("hunter2");
  });
});
