import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import {
  ADA,
  BOT,
  commanding,
  type Fields,
  FORUM,
  GROUP,
  mentioning,
  messageOf,
} from "../support/telegram-messages.ts";
import {
  ACKNOWLEDGED,
  MARK,
  NOBODY,
  newUpdate,
  type Receiver,
  startReceiver,
  textUpdate,
} from "../support/telegram-receiver.ts";

let receiver: Receiver;

beforeAll(async () => {
  receiver = await startReceiver();
});
afterEach(() => {
  expect(receiver.leaks()).toEqual([]);
});
afterAll(() => receiver?.close());

const stopKey = (place: string) => `telegram:stop:${BOT.name}:${encodeURIComponent(place)}`;
const said = { text: MARK };
const inGroup = (fields: Fields = {}) => messageOf({ ...said, ...fields }, GROUP);

describe("an update that is not for the worker", () => {
  const NOT_OURS: Record<string, Fields> = {
    "a channel's post": { channel_post: messageOf(said, { id: -1, type: "channel" }) },
    "an inline query": { inline_query: { id: "1", from: ADA, query: MARK, offset: "" } },
    "a poll": { poll: { id: "1", question: MARK, options: [] } },
    "somebody's leaving": { my_chat_member: { chat: GROUP, from: ADA, date: 1 } },
    "a kind of tomorrow": { telepathy: { thought: MARK } },
    nothing: {},
    "a service message": { message: messageOf({ pinned_message: messageOf(said) }) },
    "an edited caption": { edited_message: messageOf({ photo: [], caption: MARK }) },
    "a place on its way": { edited_message: messageOf({ location: { latitude: 1 } }) },
    "talk in a group": { message: inGroup() },
    "a mention of somebody else": { message: inGroup(mentioning(`@ada_lovelace ${MARK}`)) },
    "somebody else's command": { message: inGroup(commanding("/stop@other_bot")) },
    "a reply to somebody else": { message: inGroup({ reply_to_message: { from: { id: 8 } } }) },
    "a bot's message": { message: messageOf({ ...said, from: { ...ADA, is_bot: true } }) },
  };

  test("is acknowledged, and nobody is asked anything", async () => {
    receiver.deploy();
    const asked = await receiver.askedBy(async () => {
      for (const [kind, fields] of Object.entries(NOT_OURS)) {
        const { status, json } = await receiver.send({ update: newUpdate(fields) });
        expect([kind, status, json]).toEqual([kind, 200, {}]);
      }
    });
    expect(asked).toEqual(NOBODY);
    expect(receiver.logged("an update was ignored")).toHaveLength(Object.keys(NOT_OURS).length);
  });

  test.each(["mention", "reply", "command", "move"])("a group's %s is for the worker", async (kind) => {
    receiver.deploy();
    const messages: Record<string, Fields> = {
      mention: inGroup(mentioning(`@${BOT.name.toUpperCase()} ${MARK}`)),
      reply: inGroup({ reply_to_message: { from: { id: BOT.id } } }),
      command: inGroup(commanding(`/help@${BOT.name}`)),
      move: messageOf({ migrate_to_chat_id: -1_009 }, GROUP),
    };
    const { status, enqueued } = await receiver.outcomeOf(newUpdate({ message: messages[kind] }));
    expect([status, enqueued.length]).toEqual([200, 1]);
  });
});

describe("where only some may talk", () => {
  const stranger = { ...said, from: { ...ADA, id: 8 }, chat: { id: 8, type: "private" } };
  const toBot = { from: { id: BOT.id, is_bot: true }, chat: stranger.chat };

  test.each([
    { TELEGRAM_ALLOWED_USERS: `9, ${ADA.id}` },
    { TELEGRAM_ALLOWED_CHATS: `${ADA.id}` },
    { TELEGRAM_ALLOWED_USERS: "9", TELEGRAM_ALLOWED_CHATS: `-5,${ADA.id}` },
  ])("%j: others are acknowledged and go nowhere", async (env) => {
    receiver.deploy(env);
    expect((await receiver.outcomeOf(textUpdate())).enqueued).toHaveLength(1);
    for (const update of [
      textUpdate(stranger),
      newUpdate({ edited_message: messageOf(stranger) }),
      newUpdate({ message: messageOf({ ...stranger, ...commanding("/stop") }) }),
      newUpdate({ callback_query: { id: "1", from: stranger.from, message: messageOf(toBot) } }),
      newUpdate({ callback_query: { id: "1", from: stranger.from } }),
      newUpdate({ message: messageOf({ ...stranger, from: undefined }) }),
    ]) {
      expect(await receiver.outcomeOf(update)).toEqual(ACKNOWLEDGED);
    }
    expect(await receiver.redis.result("GET", stopKey("8"))).toBeNull();
  });

  test("a user who may is welcome in every group, and everybody in a group that may", async () => {
    const help = (id: number) => newUpdate({ message: inGroup({ ...commanding("/help"), from: { id } }) });
    receiver.deploy({ TELEGRAM_ALLOWED_USERS: "9" });
    expect((await receiver.outcomeOf(help(9))).enqueued).toHaveLength(1);
    expect(await receiver.outcomeOf(help(8))).toEqual(ACKNOWLEDGED);
    receiver.deploy({ TELEGRAM_ALLOWED_CHATS: String(GROUP.id) });
    expect((await receiver.outcomeOf(help(8))).enqueued).toHaveLength(1);
  });
});

describe("what is answered while the model runs", () => {
  const KEPT_S = 3_600;

  test("/stop, remembered in Redis for its place", async () => {
    receiver.deploy();
    const topic = { message_thread_id: 3, is_topic_message: true };
    const inPrivate = newUpdate({ message: messageOf(commanding("/stop")) });
    const inForum = newUpdate({
      message: messageOf({ ...commanding(`/Stop@${BOT.name} it`), ...topic }, FORUM),
    });
    const asked = await receiver.askedBy(async () => {
      const { status, json } = await receiver.send({ update: inPrivate });
      expect([status, json]).toEqual([200, { method: "sendMessage", chat_id: ADA.id, text: "Stopped." }]);
      const target = { chat_id: FORUM.id, message_thread_id: 3 };
      const answer = await receiver.send({ update: inForum });
      expect(answer.json).toEqual({ method: "sendMessage", ...target, text: "Stopped." });
    });
    expect(asked).toEqual({ ...NOBODY, redis: 2 });
    for (const [place, { update_id: id }] of [
      [`${ADA.id}`, inPrivate],
      [`${FORUM.id}:3`, inForum],
    ] as const) {
      expect(await receiver.redis.result("GET", stopKey(place))).toBe(String(id));
      expect(await receiver.redis.result("TTL", stopKey(place))).toBeGreaterThan(KEPT_S - 60);
    }
  });

  test("/stop without Redis, which cannot be promised", async () => {
    receiver.deploy();
    receiver.upstash.fault = "refuse";
    const update = newUpdate({ message: messageOf(commanding("/stop")) });
    const { status, json } = await receiver.send({ update });
    receiver.upstash.fault = undefined;
    const text = expect.stringContaining("could not stop");
    expect([status, json]).toEqual([200, { method: "sendMessage", chat_id: ADA.id, text }]);
  });

  test("a pressed button, by an answer to its query", async () => {
    receiver.deploy();
    const asked = await receiver.askedBy(async () => {
      for (const subject of [{}, { message: messageOf({ from: { id: BOT.id, is_bot: true } }) }]) {
        const query = { id: "998877", from: ADA, data: MARK, ...subject };
        const { status, json } = await receiver.send({ update: newUpdate({ callback_query: query }) });
        expect([status, json]).toEqual([200, { method: "answerCallbackQuery", callback_query_id: "998877" }]);
      }
    });
    expect(asked).toEqual(NOBODY);
  });
});
