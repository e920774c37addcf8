import { randomUUID } from "node:crypto";
import type { SessionMetadata, Turn } from "@parley/core/conversation/types";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { allTurns } from "../support/all-turns.ts";
import { MINUTE_MS } from "../support/clock.ts";
import { type Rig, startRig } from "../support/rig.ts";

/** Which conversation a chat is in: by Redis, by the store when Redis has lost it, and whatever comes at once. */

type Worker = ReturnType<Rig["worker"]>;

let rig: Rig;
let workers: Worker[];

beforeAll(async () => {
  rig = await startRig();
  workers = Array.from({ length: 6 }, () => rig.worker());
});
afterAll(() => rig?.close());

const workerAt = (index: number) => workers[index % workers.length] as Worker;

/** A chat of an owner that no other test has. */
function newChat(fields: Partial<SessionMetadata & { owner: string }> = {}) {
  const { owner = randomUUID(), ...session } = fields;
  return { owner, session: { platform: "telegram", userId: "user", chatId: randomUUID(), ...session } };
}
type Chat = ReturnType<typeof newChat>;

/** Says something; answers with the conversation that it went to. */
async function say(chat: Chat, message = "Hello!", worker = workerAt(0)): Promise<string> {
  const { conversationId } = await worker.conversations.converse({
    ...chat,
    message,
    deadline: rig.deadline(),
  });
  return conversationId;
}

const turnsOf = (id: string): Promise<Turn[]> => allTurns(workerAt(0).store, id);
const messagesOf = async (id: string) => (await turnsOf(id)).map(({ message }) => message);
const conversationsOf = async ({ owner }: Chat) => (await workerAt(0).store.list(owner, { size: 100 })).items;

const sessionKeys = ({ session }: Chat) => workerAt(0).redis.keys(`session:*${session.chatId}`);
async function forgetIn(redis: Worker["redis"], chat: Chat) {
  for (const key of await sessionKeys(chat)) await redis.del(key);
}

/** What Redis may have done with a chat's key meanwhile, whatever our clock says. */
const fates: [string, (chat: Chat) => Promise<unknown>][] = [
  ["Redis still has its key", async (chat) => expect(await sessionKeys(chat)).toHaveLength(1)],
  ["Redis has dropped its key", (chat) => forgetIn(workerAt(0).redis, chat)],
  ["Redis has lost everything", () => workerAt(0).redis.flushall()],
];

describe("first messages at once", () => {
  test("make one conversation, each stored once, with a title", { timeout: 60_000 }, async () => {
    for (let trial = 0; trial < 15; trial++) {
      const chat = newChat();
      const messages = Array.from({ length: 2 + (trial % 5) }, (_, index) => `First message ${index}`);
      const ids = await Promise.all(messages.map((message, index) => say(chat, message, workerAt(index))));
      expect(new Set(ids).size).toBe(1);
      const made = await conversationsOf(chat);
      expect(made).toMatchObject([{ id: ids[0], turnCount: messages.length, platform: "telegram" }]);
      expect(made[0]?.title).toMatch(/\S/);
      const turns = await turnsOf(ids[0] ?? "");
      expect(turns.map(({ message }) => message).toSorted()).toEqual(messages);
      expect(turns.map(({ seq }) => seq)).toEqual(messages.map((_, index) => index + 1));
      expect(await say(chat)).toBe(ids[0]);
    }
  });

  test("make one conversation after a pause as well", async () => {
    for (const [, fate] of fates) {
      const chat = newChat();
      const old = await say(chat);
      await fate(chat);
      rig.clock.advance(31 * MINUTE_MS);
      const ids = await Promise.all([0, 1, 2, 3].map((index) => say(chat, `Back ${index}`, workerAt(index))));
      expect(new Set(ids).size).toBe(1);
      expect(ids[0]).not.toBe(old);
      expect(await messagesOf(old)).toEqual(["Hello!"]);
    }
  });
});

test("the first message is stored once, and the conversation has a title", async () => {
  const chat = newChat();
  const id = await say(chat, "What's the weather in Barcelona?");
  expect(await turnsOf(id)).toMatchObject([{ seq: 1, message: "What's the weather in Barcelona?" }]);
  expect(await conversationsOf(chat)).toMatchObject([{ id, title: "Weather in Barcelona", turnCount: 1 }]);
});

describe.each(fates)("when %s", (_what, fate) => {
  test("a chat goes on within 30 minutes of its last message, however long it is", async () => {
    const chat = newChat();
    const id = await say(chat, "0");
    for (const message of ["1", "2", "3"]) {
      rig.clock.advance(30 * MINUTE_MS - 5_000);
      await fate(chat);
      expect(await say(chat, message, workerAt(1))).toBe(id);
    }
    expect(await messagesOf(id)).toEqual(["0", "1", "2", "3"]);
  });

  test("a chat that was idle for 30 minutes begins a new conversation and stays there", async () => {
    const chat = newChat();
    const old = await say(chat, "old");
    rig.clock.advance(30 * MINUTE_MS + 1);
    await fate(chat);
    const id = await say(chat, "new", workerAt(1));
    expect(id).not.toBe(old);
    await fate(chat);
    expect(await say(chat, "newer", workerAt(2))).toBe(id);
    expect(await messagesOf(old)).toEqual(["old"]);
    expect(await messagesOf(id)).toEqual(["new", "newer"]);
    expect((await conversationsOf(chat)).map((each) => each.id)).toEqual([id, old]);
  });

  test("a chat whose conversation has vanished starts anew", async () => {
    const chat = newChat();
    const old = await say(chat);
    await rig.storeEngine.vanish(old);
    await fate(chat);
    const id = await say(chat, "Anybody there?");
    expect(id).not.toBe(old);
    expect(await say(chat)).toBe(id);
    expect(await workerAt(0).store.load(old, 1)).toBeUndefined();
  });

  test("a conversation started for a chat is where the chat is from then on", async () => {
    const chat = newChat();
    const old = await say(chat);
    const started = await workerAt(1).conversations.start({
      ...chat,
      message: "Something else",
      deadline: rig.deadline(),
    });
    expect(started.conversationId).not.toBe(old);
    await fate(chat);
    expect(await say(chat)).toBe(started.conversationId);
  });
});

test("after Redis restarts empty, the old conversation goes on", async () => {
  const chat = newChat();
  const id = await say(chat);
  expect(rig.backend.restart).toBeDefined();
  await rig.backend.restart?.();
  rig.clock.advance(2_000);
  expect(await say(chat, "Still there?")).toBe(id);
  expect(await sessionKeys(chat)).toHaveLength(1);
});

test("one chat id of two owners, or on two platforms, is two chats", async () => {
  const chat = newChat();
  const id = await say(chat);
  const others = [
    newChat({ chatId: chat.session.chatId }),
    newChat({ owner: chat.owner, chatId: chat.session.chatId, platform: "cli" }),
  ];
  for (const [, fate] of fates.slice(1)) {
    const ids = [await say(chat), ...(await Promise.all(others.map((other) => say(other))))];
    expect(new Set(ids).size).toBe(3);
    expect(ids[0]).toBe(id);
    await fate(chat);
  }
});

test("several users of one chat are in one conversation", async () => {
  const chat = newChat();
  const id = await say(chat);
  expect(await say({ ...chat, session: { ...chat.session, userId: "another" } })).toBe(id);
});

describe("Redis is not believed", () => {
  const remember = async (chat: Chat, value: string) => {
    const [key = ""] = await sessionKeys(chat);
    await workerAt(0).redis.set(key, value);
  };

  test.each(["", "null", "{", "[]", '{"conversation_id":7,"user_id":"user"}', "conv_1"])(
    "when it has %j for a chat",
    async (value) => {
      const chat = newChat();
      const id = await say(chat);
      await remember(chat, value);
      expect(await say(chat)).toBe(id);
    },
  );

  const named = (conversation: string) => JSON.stringify({ conversation_id: conversation, user_id: "user" });

  test("when it names another owner's conversation, or one that there never was", async () => {
    const them = newChat();
    const chat = newChat();
    const old = await say(chat);
    for (const conversation of [await say(them, "private"), "conv_00000000000000000000000000"]) {
      await remember(chat, named(conversation));
      expect(await say(chat, "Who is there?")).toBe(old);
    }
    rig.clock.advance(31 * MINUTE_MS);
    const theirs = await say(them, "private again");
    await remember(chat, named(theirs));
    expect(await messagesOf(await say(chat, "Back"))).toEqual(["Back"]);
    expect(await messagesOf(theirs)).toEqual(["private again"]);
  });

  test("when it missed that the chat was moved", async () => {
    const chat = newChat();
    await say(chat);
    const [key = ""] = await sessionKeys(chat);
    const stale = (await workerAt(0).redis.get<string>(key)) ?? "";
    const started = await workerAt(1).conversations.start({
      ...chat,
      message: "Something else",
      deadline: rig.deadline(),
    });
    await workerAt(0).redis.set(key, stale);
    expect(await say(chat)).toBe(started.conversationId);
    expect(await workerAt(0).redis.get<string>(key)).toContain(started.conversationId);
  });
});

test("a repeated turn answers from its own conversation, and the chat stays in its new one", async () => {
  const chat = newChat();
  const ask = { ...chat, message: "old", turnId: randomUUID() };
  const { conversations } = workerAt(0);
  const old = await conversations.converse({ ...ask, deadline: rig.deadline() });
  rig.clock.advance(31 * MINUTE_MS);
  const id = await say(chat, "new");
  expect(await conversations.converse({ ...ask, deadline: rig.deadline() })).toEqual({
    ...old,
    replayed: true,
  });
  const [key = ""] = await sessionKeys(chat);
  expect(await workerAt(0).redis.get<string>(key)).toContain(id);
  expect(await say(chat, "newer")).toBe(id);
  expect(await messagesOf(old.conversationId)).toEqual(["old"]);
});
