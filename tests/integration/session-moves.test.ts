import { randomUUID } from "node:crypto";
import type { SessionMetadata } from "@parley/core/conversation/types";
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { allTurns } from "../support/all-turns.ts";
import { MINUTE_MS } from "../support/clock.ts";
import { type Rig, startRig } from "../support/rig.ts";

/** A chat that starts over, or goes on under another id; the store decides, whatever Redis remembers. */

type Worker = ReturnType<Rig["worker"]>;
type Chat = { owner: string; session: SessionMetadata };

const PATIENTLY = { timeout: 10_000, interval: 10 };

let rig: Rig;
let workers: Worker[];

beforeAll(async () => {
  rig = await startRig();
  workers = Array.from({ length: 3 }, () => rig.worker({ redisTimeoutMs: 10_000 }));
});
afterAll(() => rig?.close());
beforeEach(() => rig.model.reset());

const workerAt = (index: number) => workers[index % workers.length] as Worker;

const newChat = (owner: string = randomUUID()): Chat => ({
  owner,
  session: { platform: "telegram", userId: "user", chatId: randomUUID() },
});

/** Says something; answers with the conversation that it went to. */
async function say(chat: Chat, message = "Hello!", worker = workerAt(0)): Promise<string> {
  const { conversationId } = await worker.conversations.converse({
    ...chat,
    message,
    deadline: rig.deadline(),
  });
  return conversationId;
}

const startOver = ({ owner, session }: Chat, worker = workerAt(0)) =>
  worker.conversations.startOver(owner, session);
const move = (from: Chat, to: Chat, worker = workerAt(0)) =>
  worker.conversations.moveSession(from.owner, from.session, to.session);
const conversationOf = ({ owner, session }: Chat, worker = workerAt(0)) =>
  worker.conversations.session(owner, session, rig.deadline());

const messagesOf = async (id: string) =>
  (await allTurns(workerAt(0).store, id)).map(({ message }) => message);
const remembered = async ({ owner, session }: Chat) => {
  const [key = ""] = await workerAt(0).redis.keys(`session:${owner}:*${session.chatId}`);
  return key === "" ? undefined : workerAt(0).redis.get<string>(key);
};

/** What Redis may hold for a chat, after whatever was done. */
const fates: [string, (chat: Chat, id: string) => Promise<unknown>][] = [
  ["Redis has forgotten the chat", async () => {}],
  [
    "Redis remembers the old conversation",
    ({ owner, session }, id) => workerAt(1).sessions.remember(owner, session, id),
  ],
  ["Redis has lost everything", () => workerAt(0).redis.flushall()],
];

async function withoutRedis(work: () => Promise<unknown>) {
  await rig.upstash.stop();
  await work();
  await rig.upstash.start();
  // As long as a client leaves Redis alone after it failed.
  rig.clock.advance(2_000);
}

describe.each(fates)("after a chat started over, when %s", (_what, fate) => {
  test("it is in no conversation, and its next message begins one", async () => {
    const chat = newChat();
    const old = await say(chat, "old");
    await startOver(chat);
    await fate(chat, old);
    expect(await conversationOf(chat, workerAt(1))).toBeUndefined();
    const id = await say(chat, "new", workerAt(1));
    expect(id).not.toBe(old);
    expect(await conversationOf(chat)).toMatchObject({ id, turnCount: 1 });
    expect(await remembered(chat)).toContain(id);
    await fate(chat, old);
    expect(await say(chat, "newer", workerAt(2))).toBe(id);
    expect(await messagesOf(old)).toEqual(["old"]);
    expect(await messagesOf(id)).toEqual(["new", "newer"]);
  });

  test("messages at once are in one new conversation", async () => {
    const chat = newChat();
    const old = await say(chat, "old");
    await startOver(chat);
    await fate(chat, old);
    const ids = await Promise.all([0, 1, 2, 3].map((index) => say(chat, `new ${index}`, workerAt(index))));
    expect(new Set(ids).size).toBe(1);
    expect(ids[0]).not.toBe(old);
    expect(await messagesOf(old)).toEqual(["old"]);
  });
});

describe("startOver", () => {
  test("without Redis does the same, though Redis still has the key", async () => {
    const chat = newChat();
    const old = await say(chat, "old");
    await withoutRedis(() => startOver(chat));
    expect(await remembered(chat)).toContain(old);
    expect(await conversationOf(chat)).toBeUndefined();
    expect(await messagesOf(await say(chat, "new"))).toEqual(["new"]);
    expect(await messagesOf(old)).toEqual(["old"]);
  });

  test("during a turn leaves the turn where it is", async () => {
    const chat = newChat();
    const old = await say(chat, "old");
    rig.model.inject({ delayMs: 200 });
    const underWay = say(chat, "under way");
    await vi.waitFor(async () => expect(await messagesOf(old)).toEqual(["old", "under way"]), PATIENTLY);
    await startOver(chat, workerAt(1));
    expect(await underWay).toBe(old);
    expect(await conversationOf(chat)).toBeUndefined();
    expect(await say(chat, "new", workerAt(2))).not.toBe(old);
    const [, turn] = await allTurns(workerAt(0).store, old);
    expect(turn?.reply).toBeDefined();
  });

  test("of a chat that is new, or again, begins one conversation", async () => {
    const chat = newChat();
    await startOver(chat);
    await startOver(chat, workerAt(1));
    expect(await conversationOf(chat)).toBeUndefined();
    const id = await say(chat);
    expect(await say(chat)).toBe(id);
    expect((await workerAt(0).store.list(chat.owner, { size: 9 })).items).toHaveLength(1);
  });

  test("does not touch the same chat of another owner", async () => {
    const chat = newChat();
    const other = { ...chat, owner: randomUUID() };
    const [, theirs] = [await say(chat), await say(other)];
    await startOver(chat);
    expect(await say(other)).toBe(theirs);
  });
});

describe("session", () => {
  test("tells of the conversation, with or without Redis", async () => {
    const chat = newChat();
    expect(await conversationOf(chat)).toBeUndefined();
    const id = await say(chat, "What's the weather in Barcelona?");
    const expected = { id, title: "Weather in Barcelona", turnCount: 1, owner: chat.owner };
    expect(await conversationOf(chat)).toMatchObject(expected);
    await withoutRedis(async () => expect(await conversationOf(chat, workerAt(1))).toMatchObject(expected));
    expect(await conversationOf({ ...chat, owner: randomUUID() })).toBeUndefined();
  });

  test("ends after 30 minutes, however often it is asked for", async () => {
    const chat = newChat();
    const id = await say(chat);
    rig.clock.advance(29 * MINUTE_MS);
    expect(await conversationOf(chat)).toMatchObject({ id });
    rig.clock.advance(2 * MINUTE_MS);
    expect(await conversationOf(chat)).toBeUndefined();
  });
});

describe.each(fates)("after a chat moved, when %s", (_what, fate) => {
  test("its conversation goes on under the new id", async () => {
    const from = newChat();
    const to = newChat(from.owner);
    const id = await say(from, "before");
    await move(from, to);
    await fate(from, id);
    expect(await conversationOf(to)).toMatchObject({ id, turnCount: 1 });
    expect(await say(to, "after", workerAt(1))).toBe(id);
    // It was said before the move, and waited in another queue.
    expect(await say(from, "late", workerAt(2))).toBe(id);
    expect(await messagesOf(id)).toEqual(["before", "after", "late"]);
  });

  test("and what it left before that does not come back", async () => {
    const from = newChat();
    const to = newChat(from.owner);
    const old = await say(from, "old");
    await startOver(from);
    await move(from, to);
    await fate(from, old);
    const id = await say(to, "new", workerAt(1));
    expect(await messagesOf(id)).toEqual(["new"]);
    await move(from, to, workerAt(2));
    await fate(to, old);
    expect(await say(to, "newer", workerAt(2))).toBe(id);
    expect(await messagesOf(old)).toEqual(["old"]);
  });
});

describe("moveSession", () => {
  test("without Redis does the same", async () => {
    const from = newChat();
    const to = newChat(from.owner);
    const id = await say(from, "before");
    await withoutRedis(() => move(from, to));
    expect(await say(to, "after")).toBe(id);
  });

  test("leaves a chat in the conversation that it has begun meanwhile", async () => {
    const from = newChat();
    const to = newChat(from.owner);
    await say(from, "before");
    const id = await say(to, "faster");
    await move(from, to);
    expect(await say(to, "after", workerAt(1))).toBe(id);
    expect(await messagesOf(id)).toEqual(["faster", "after"]);
  });

  test("during a turn leaves the turn its reply, and the next knows of it", async () => {
    const from = newChat();
    const to = newChat(from.owner);
    const id = await say(from, "before");
    rig.model.inject({ delayMs: 200 });
    const underWay = say(from, "What's the weather in Lisbon?");
    await vi.waitFor(async () => expect(await messagesOf(id)).toHaveLength(2), PATIENTLY);
    await move(from, to, workerAt(1));
    expect(await underWay).toBe(id);
    const { reply } = await workerAt(2).conversations.converse({
      ...to,
      message: "And tomorrow?",
      deadline: rig.deadline(),
    });
    expect(reply.text).toMatch(/Lisbon/);
  });
});
