import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ask, type Endpoint, endpointOf, type Parts, type Session } from "../support/api-calls.ts";
import { type Edge, newKey, startEdge } from "../support/edge.ts";
import { seed } from "../support/seed.ts";

const ada = newKey("ada");
const as = { "x-api-key": ada.secret };

let edge: Edge;
/** A deployment whose functions try each request to the store once. */
let oneTry: string;
beforeAll(async () => {
  edge = await startEdge({ keys: [ada], together: true });
  oneTry = await edge.open({ API_KEYS: ada.entry, ...edge.storeEngine.oneTry.env });
});
afterAll(() => edge.close());

let count = 0;
const newSession = (): Session => ({ platform: "cli", user_id: "user-1", chat_id: `chat-${++count}-` });
const call = (endpoint: Endpoint, parts: Parts, url = edge.url) => ask(url, endpoint, parts, as);

const start = endpointOf("POST /v1/conversations");
const next = endpointOf("POST /v1/conversations/{id}/messages");
const converse = endpointOf("POST /v1/messages");
const list = endpointOf("GET /v1/conversations");
const read = endpointOf("GET /v1/conversations/{id}");
const whole = endpointOf("GET /v1/conversations/{id}/export");
const erase = endpointOf("DELETE /v1/conversations/{id}");

/** Whatever in the table and in Redis has to do with a conversation or its chat. */
async function traces(conversation: string, session?: Session): Promise<string[]> {
  const rows = (await edge.rows()).map((row) => JSON.stringify(row));
  const cached = Object.entries(await edge.redisStrings("*")).map((entry) => entry.join(" "));
  return [...rows, ...cached].filter(
    (text) => text.includes(conversation) || (session !== undefined && text.includes(session.chat_id)),
  );
}

/** Three turns in a chat; that of the third is under a key, and Redis knows the chat. */
async function conversationIn(session: Session): Promise<string> {
  const conversation = await seed(edge.store, {
    owner: ada.id,
    session: { platform: session.platform, userId: session.user_id, chatId: session.chat_id },
    turns: [
      { message: "Hello", reply: "Hi." },
      { message: "Hello", reply: "Hi." },
    ],
  });
  const { status, json } = await call(converse, {
    message: "Hello",
    session,
    idempotencyKey: keyOf(session),
  });
  expect(status).toBe(200);
  expect(json["conversation_id"]).toBe(conversation);
  return conversation;
}

const keyOf = (session: Session) => `key-of-${session.chat_id}`;

async function listed(): Promise<string[]> {
  const { json } = await call(list, {});
  return (json as { conversations: { id: string }[] }).conversations.map(({ id }) => id);
}

async function expectGone(conversation: string) {
  for (const endpoint of [read, whole, next, erase]) {
    expect(await call(endpoint, { conversation })).toMatchObject({
      status: 404,
      json: { code: "not_found" },
    });
  }
  expect(await listed()).not.toContain(conversation);
}

describe("DELETE", () => {
  test("leaves no row behind and answers nothing", async () => {
    const session = newSession();
    const conversation = await conversationIn(session);
    // Head, three turns, the chat, and the chat in Redis.
    expect(await traces(conversation, session)).toHaveLength(3 + 3 * edge.storeEngine.rowsPerTurn);
    const answer = await call(erase, { conversation });
    expect(answer).toMatchObject({ status: 204, body: Buffer.alloc(0) });
    expect(answer.headers["content-type"]).not.toBe("application/json");
    expect(await traces(conversation, session)).toEqual([]);
    await expectGone(conversation);
  });

  test("leaves of rows and keys what there was before, of a conversation that everything was done with", async () => {
    const everything = async () => {
      const keys = (await edge.redis.result("KEYS", "*")) as string[];
      const rows = (await edge.rows()).map((row) => JSON.stringify(row));
      return [...rows, ...keys.filter((key) => !key.startsWith("ratelimit:"))].sort();
    };
    const before = await everything();
    const session = newSession();
    const message = `A title for ${session.chat_id}`;
    const { json } = await call(converse, { message, session, idempotencyKey: keyOf(session) });
    const conversation = String(json["conversation_id"]);
    await call(next, { message: "Hello", conversation });
    const to = newSession();
    const [chat, moved] = [session, to].map(({ platform, user_id, chat_id }) => ({
      platform,
      userId: user_id,
      chatId: chat_id,
    }));
    if (chat && moved) await edge.store.moveSession(ada.id, chat, moved);
    await call(converse, { message: "Hello", session: to });
    const full = await everything();
    // The conversation, two chats in store and Redis, three turns, and the title.
    expect(full).toHaveLength(before.length + 1 + 4 + 3 * edge.storeEngine.rowsPerTurn + 1);
    expect(full.filter((key) => key.startsWith("title:"))).not.toEqual([]);
    expect((await call(erase, { conversation })).status).toBe(204);
    expect(await everything()).toEqual(before);
  });

  test("the chat begins anew, and keys that were known are new", async () => {
    const session = newSession();
    const conversation = await conversationIn(session);
    await call(erase, { conversation });
    const idempotencyKey = keyOf(session);
    const again = await call(converse, { message: "Hello", session, idempotencyKey });
    expect(again.status).toBe(200);
    expect(again.headers["idempotent-replayed"]).toBeUndefined();
    expect(again.json["conversation_id"]).not.toBe(conversation);
    expect((await call(next, { message: "Hello", conversation, idempotencyKey: "unused" })).status).toBe(404);
    const { status, json } = await call(converse, { message: "Something else", session });
    expect(status).toBe(200);
    expect(json["conversation_id"]).toBe(again.json["conversation_id"]);
    expect(await traces(conversation)).toEqual([]);
  });

  test("leaves the conversation alone that the chat is in by now", async () => {
    const session = newSession();
    const conversation = await conversationIn(session);
    const { json } = await call(start, { message: "My name is Ada", session });
    expect((await call(erase, { conversation })).status).toBe(204);
    expect(await traces(conversation)).toEqual([]);
    const { json: answer } = await call(converse, { message: "Who am I?", session });
    expect(answer).toMatchObject({ conversation_id: json["conversation_id"], reply: "Your name is Ada." });
  });

  test("of more turns than one transaction holds", async () => {
    const turns = Array.from({ length: 120 }, (_, index) => ({ message: `Message ${index}`, reply: "Yes." }));
    const conversation = await seed(edge.store, { owner: ada.id, turns });
    const before = (await edge.rows()).length;
    expect((await call(erase, { conversation })).status).toBe(204);
    expect(await traces(conversation)).toEqual([]);
    expect((await edge.rows()).length).toBe(before - 1 - 120 * edge.storeEngine.rowsPerTurn);
  });

  test("without Redis; the chat begins anew when it is back", async () => {
    const session = newSession();
    const conversation = await conversationIn(session);
    edge.upstash.fault = "refuse";
    const answer = await call(erase, { conversation });
    edge.upstash.fault = undefined;
    expect(answer.status).toBe(204);
    // The functions go without a Redis that failed for a second.
    await sleep(1_050);
    expect((await edge.rows()).filter((row) => JSON.stringify(row).includes(conversation))).toEqual([]);
    const { status, json } = await call(converse, { message: "Hello", session });
    expect(status).toBe(200);
    expect(json["conversation_id"]).not.toBe(conversation);
  });
});

describe("killed half-way", () => {
  /** Requests to the store of one DELETE of a conversation in a chat. */
  async function requestsOfOne(): Promise<number> {
    const session = newSession();
    const conversation = await conversationIn(session);
    const before = edge.storeEngine.requests().count;
    await call(erase, { conversation });
    return edge.storeEngine.requests().count - before;
  }

  test.each(["error", "drop-before", "drop-after"] as const)(
    "%s at any request: gone or whole to everybody, and the next DELETE removes the rest",
    async (kind) => {
      const requests = await requestsOfOne();
      expect(requests).toBeGreaterThanOrEqual(4);
      for (let after = 0; after < requests; after++) {
        const session = newSession();
        const conversation = await conversationIn(session);
        const lift = edge.storeEngine.inject({ kind, after, times: edge.storeEngine.oneTry.times });
        const killed = await call(erase, { conversation }, oneTry);
        lift();
        expect(killed, `after ${after}`).toMatchObject({ status: 503, json: { code: "unavailable" } });

        const { status, json } = await call(whole, { conversation });
        if (status === 200) {
          expect(after).toBe(0);
          expect((json as { messages: unknown[] }).messages).toHaveLength(6);
          expect(await listed()).toContain(conversation);
        } else {
          expect(status).toBe(404);
          expect((await call(next, { conversation })).status).toBe(404);
          expect(await listed()).not.toContain(conversation);
        }
        const { status: finished } = await call(erase, { conversation });
        // Killed at its last breath it had removed everything but what Redis forgets by itself.
        if (finished === 404) expect([kind, after]).toEqual(["drop-after", requests - 1]);
        else expect(finished).toBe(204);
        const left = await traces(conversation, session);
        expect(left.filter((text) => finished === 204 || !text.startsWith("session:"))).toEqual([]);
      }
    },
  );

  test.each(["error", "drop-before", "drop-after"] as const)(
    "%s at any request is tried again, and nobody notices",
    async (kind) => {
      const requests = await requestsOfOne();
      for (let after = 0; after < requests; after++) {
        const session = newSession();
        const conversation = await conversationIn(session);
        const lift = edge.storeEngine.inject({ kind, after });
        expect((await call(erase, { conversation })).status, `after ${after}`).toBe(204);
        lift();
        expect(await traces(conversation, session)).toEqual([]);
      }
    },
  );

  test("a message to the chat of a half erased conversation begins a new one", async () => {
    const session = newSession();
    const conversation = await conversationIn(session);
    const { times } = edge.storeEngine.oneTry;
    const lift = edge.storeEngine.inject({ kind: "error", after: 2, times });
    expect((await call(erase, { conversation }, oneTry)).status).toBe(503);
    lift();
    const { status, json } = await call(converse, { message: "Hello again", session });
    expect(status).toBe(200);
    expect(json["conversation_id"]).not.toBe(conversation);
    expect((await call(erase, { conversation })).status).toBe(204);
    expect(await traces(conversation)).toEqual([]);
    const { json: later } = await call(converse, { message: "Hello again", session });
    expect(later["conversation_id"]).toBe(json["conversation_id"]);
  });
});

describe("while a turn is being answered", () => {
  test.each<[string, Endpoint, (conversation: string, session: Session) => Parts]>([
    ["by id", next, (conversation) => ({ conversation })],
    ["by chat", converse, (_conversation, session) => ({ session })],
  ])("%s: the turn ends as not_found, and nothing comes back", async (_what, endpoint, where) => {
    const session = newSession();
    const conversation = await conversationIn(session);
    const message = `Message ${session.chat_id}`;
    const hold = edge.hold(message);
    const turn = call(endpoint, {
      message,
      idempotencyKey: message.replace(" ", "-"),
      ...where(conversation, session),
    });
    await hold.reached;
    expect((await call(erase, { conversation })).status).toBe(204);
    hold.release();
    expect(await turn).toMatchObject({ status: 404, json: { code: "not_found" } });
    expect(await traces(conversation, session)).toEqual([]);
    await expectGone(conversation);
  });

  test("the first turn, which has not made a title yet", async () => {
    const session = newSession();
    const message = `Message ${session.chat_id}`;
    const hold = edge.hold(message);
    const turn = call(start, { message, session });
    await hold.reached;
    const [conversation = ""] = await listed();
    expect((await call(erase, { conversation })).status).toBe(204);
    hold.release();
    expect(await turn).toMatchObject({ status: 404, json: { code: "not_found" } });
    expect(await traces(conversation, session)).toEqual([]);
  });

  test("races of messages and DELETE, whoever wins, leave nothing", async () => {
    for (let round = 0; round < 8; round++) {
      const conversation = await seed(edge.store, {
        owner: ada.id,
        turns: [{ message: "Hello", reply: "Hi." }],
      });
      const messages = Array.from({ length: 3 }, () => call(next, { message: "Hello", conversation }));
      const erasures = Array.from({ length: 2 }, () => call(erase, { conversation }));
      for (const { status } of await Promise.all(messages)) expect([200, 404]).toContain(status);
      const statuses = (await Promise.all(erasures)).map(({ status }) => status);
      expect(statuses).toContain(204);
      for (const status of statuses) expect([204, 404]).toContain(status);
      expect(await traces(conversation)).toEqual([]);
    }
  });
});
