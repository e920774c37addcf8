import type { AllowList } from "@parley/core/telegram/bots";
import { parseUpdate, placeKey, placeOf, triage } from "@parley/core/telegram/update";
import { describe, expect, test } from "vitest";
import { fc } from "../../support/property.ts";
import {
  ADA,
  BOT,
  captioned,
  commanding,
  covering,
  type Fields,
  FORUM,
  GROUP,
  hostileUpdates,
  mentioning,
  messageOf,
  PRIVATE,
  SUPERGROUP,
  updateOf,
} from "../../support/telegram-messages.ts";

const EVERYBODY: AllowList = { users: new Set(), chats: new Set() };

const decide = (fields: Fields, allowed = EVERYBODY) => triage(updateOf(fields), BOT, allowed);
const decideMessage = (content: Fields, chat: Fields = PRIVATE) =>
  decide({ message: messageOf(content, chat) });

const ignored = (reason: string) => ({ action: "ignore", reason });
const queued = ({ id }: Fields, typing = true, thread?: number) => ({
  action: "queue",
  place: { chat: id, thread },
  typing,
});
const stopped = ({ id }: Fields, thread?: number) => ({ action: "stop", place: { chat: id, thread } });

const PHOTO = { photo: [{ file_id: "a", width: 1, height: 1 }] };
const PLACE = { latitude: 41.38, longitude: 2.17 };

describe("reading an update", () => {
  test.each([
    undefined,
    null,
    true,
    7,
    "update",
    [],
    {},
    { update_id: "7" },
    { update_id: 0.5 },
    { update_id: 2 ** 53 },
    { update_id: 7, message: null },
    { update_id: 7, message: "Hello!" },
    { update_id: 7, message: { message_id: 7 } },
    { update_id: 7, message: { message_id: 7, chat: { id: "7", type: "private" } } },
    { update_id: 7, message: messageOf({ text: 7 }) },
    { update_id: 7, message: messageOf({ migrate_to_chat_id: "-1001" }) },
    {
      update_id: 7,
      message: messageOf({ text: "Hello!", entities: [{ type: "bold", offset: 0.5, length: 1 }] }),
    },
    { update_id: 7, callback_query: { id: "1" } },
  ])("%j is none", (value) => {
    expect(parseUpdate(value)).toBeUndefined();
  });

  test("goes on with everything in it that is not looked at", () => {
    const update = {
      update_id: 7,
      message: messageOf({
        text: "Hello!",
        from: { ...ADA, is_premium: true },
        entities: [{ type: "text_link", offset: 0, length: 5, url: "https://a.example/" }],
        link_preview_options: { is_disabled: true },
      }),
      something_of_tomorrow: { deep: [1, { deeper: null }] },
    };
    expect(parseUpdate(structuredClone(update))).toEqual(update);
  });

  test("never throws, whatever JSON there is", async () => {
    await fc.assert(fc.property(fc.jsonValue(), (value) => void parseUpdate(value)));
    await fc.assert(
      fc.property(fc.jsonValue(), (value) => void parseUpdate({ update_id: 7, message: value })),
    );
    const nested = fc.record({ chat: fc.jsonValue(), from: fc.jsonValue(), entities: fc.jsonValue() });
    await fc.assert(
      fc.property(nested, (fields) => void parseUpdate({ update_id: 7, message: messageOf(fields) })),
    );
  });

  test("a field called __proto__ gives no message a field that it does not have", () => {
    const text = JSON.stringify({ update_id: 7, message: messageOf({ PROTO: { migrate_to_chat_id: -7 } }) });
    const update = parseUpdate(JSON.parse(text.replace("PROTO", "__proto__")));
    expect(update && triage(update, BOT, EVERYBODY)).toEqual(ignored("kind"));
  });
});

describe("in a private chat", () => {
  test.each([
    { text: "Hello!" },
    { text: "" },
    commanding("/help"),
    commanding("/help@other_bot"),
    commanding("/stop@other_bot"),
    commanding("/stopping"),
    { text: "Now /stop it", entities: [{ type: "bot_command", offset: 4, length: 5 }] },
    { text: "/stop, without an entity" },
    PHOTO,
    captioned({ text: "What is this?" }),
    { location: PLACE },
    { location: { ...PLACE, live_period: 900 } },
    { venue: { location: PLACE, title: "Sagrada Família" }, location: PLACE },
    ...["voice", "video", "video_note", "audio", "document", "sticker", "animation"].map((kind) => ({
      [kind]: { file_id: "a" },
    })),
    { contact: { phone_number: "1" } },
    { poll: { id: "1" } },
    { dice: { emoji: "🎲", value: 1 } },
  ])("%j is for the bot", (content) => {
    expect(decideMessage(content)).toEqual(queued(PRIVATE));
  });

  test.each(["/stop", "/STOP", "/Stop now", "/stop@test_bot", "/stop@Test_Bot please"])(
    "%j stops",
    (text) => {
      expect(decideMessage(commanding(text))).toEqual(stopped(PRIVATE));
    },
  );
});

describe.each([
  ["a group", GROUP],
  ["a supergroup", SUPERGROUP],
  ["a forum's general topic", FORUM],
])("in %s", (_name, chat) => {
  test.each<[string, Fields]>([
    ["a mention", mentioning("What do you think, @test_bot?")],
    ["a mention in another case", mentioning("@Test_BOT hello")],
    ["a mention behind emoji", mentioning("🧭🧭 @test_bot hello")],
    ["a mention in a caption", captioned(mentioning("What is this, @test_bot?"))],
    ["a mention of its name", covering("Hello, Test", "Test", "text_mention", { user: { id: BOT.id } })],
    [
      "a mention of its name in a caption",
      captioned(covering("Test?", "Test", "text_mention", { user: BOT })),
    ],
    ["a reply", { text: "Why?", reply_to_message: { message_id: 6, from: { id: BOT.id, is_bot: true } } }],
    ["a photo in reply", { ...PHOTO, reply_to_message: { message_id: 6, from: { id: BOT.id } } }],
    ["a command", commanding("/weather Barcelona")],
    ["a command by name", commanding("/weather@test_bot Barcelona")],
    ["a command by name in another case", commanding("/Weather@Test_Bot Barcelona")],
    ["a command that there is not", commanding("/dance")],
    [
      "a command of another bot, with a mention",
      {
        text: "/dance@other_bot with @test_bot",
        entities: [
          { type: "bot_command", offset: 0, length: 16 },
          { type: "mention", offset: 22, length: 9 },
        ],
      },
    ],
  ])("%s is for the bot", (_what, content) => {
    expect(decideMessage(content, chat)).toEqual(queued(chat));
  });

  test.each<[string, Fields]>([
    ["what people say to each other", { text: "Hello!" }],
    ["a photo", PHOTO],
    ["a location", { location: PLACE }],
    ["the bot's name without an entity", { text: "@test_bot" }],
    ["a mention of another", mentioning("@test_bot2 hello")],
    ["a mention of a shorter name", mentioning("@test_bo hello")],
    ["a mention of another's name", covering("Hello, Eve", "Eve", "text_mention", { user: { id: 7 } })],
    ["a link that looks like a mention", covering("@test_bot", "@test_bot", "text_link", { url: "tg://a" })],
    ["a reply to another", { text: "Why?", reply_to_message: { message_id: 6, from: ADA } }],
    ["a reply to a channel's post", { text: "Why?", reply_to_message: { message_id: 6 } }],
    ["a command of another bot", commanding("/weather@other_bot Barcelona")],
    ["a command that is not the first word", covering("Say /help", "/help", "bot_command")],
    ["another bot's stop", commanding("/stop@other_bot")],
  ])("%s is not", (_what, content) => {
    expect(decideMessage(content, chat)).toEqual(ignored("not-addressed"));
  });

  test.each(["/stop", "/stop@test_bot", "/STOP@TEST_BOT all of it"])("%j stops", (text) => {
    expect(decideMessage(commanding(text), chat)).toEqual(stopped(chat));
  });

  test("administrators and channels that write as a chat are somebody, though Telegram names a bot for them", () => {
    const anonymous = { id: 1_087_968_824, is_bot: true, username: "GroupAnonymousBot" };
    const content = { ...mentioning("@test_bot hello"), from: anonymous, sender_chat: chat };
    expect(decideMessage(content, chat)).toEqual(queued(chat));
    expect(decideMessage({ ...commanding("/stop"), from: anonymous, sender_chat: chat }, chat)).toEqual(
      stopped(chat),
    );
  });

  test("another bot gets no answer, or the two would never end", () => {
    const content = { ...mentioning("@test_bot hello"), from: { ...ADA, is_bot: true } };
    expect(decideMessage(content, chat)).toEqual(ignored("from-bot"));
  });
});

describe("topics", () => {
  test.each([
    ["in a topic", { is_topic_message: true, message_thread_id: 12 }, 12],
    ["in a chain of replies", { message_thread_id: 12 }, undefined],
    ["that says it is in none", { is_topic_message: false, message_thread_id: 12 }, undefined],
    ["in the general topic", { is_topic_message: true }, undefined],
  ])("a message %s", (_where, where, thread) => {
    expect(decideMessage({ ...commanding("/help"), ...where }, FORUM)).toEqual(queued(FORUM, true, thread));
    expect(decideMessage({ ...commanding("/stop"), ...where }, FORUM)).toEqual(stopped(FORUM, thread));
    const message = messageOf({ text: "Menu", ...where }, FORUM);
    expect(decide({ callback_query: { id: "1", from: ADA, message } })).toEqual({
      action: "callback",
      id: "1",
      place: { chat: FORUM.id, thread },
    });
  });

  test("a place's key is its own", async () => {
    expect(placeKey({ chat: -100_123, thread: undefined })).toBe("-100123");
    expect(placeKey({ chat: -100_123, thread: 7 })).toBe("-100123:7");
    expect(placeKey(placeOf({ chat: { id: 5 }, is_topic_message: true, message_thread_id: 0 }))).toBe("5:0");
    const place = fc.record({ chat: fc.maxSafeInteger(), thread: fc.option(fc.nat(), { nil: undefined }) });
    await fc.assert(
      fc.property(place, place, (one, other) => {
        const same = one.chat === other.chat && one.thread === other.thread;
        expect(placeKey(one) === placeKey(other)).toBe(same);
      }),
    );
  });
});

describe("edited messages", () => {
  const edited = (content: Fields, chat?: Fields) =>
    decide({ edited_message: { ...messageOf(content, chat), edit_date: 1_795_358_500 } });

  test("with a text may be answered once more, without typing yet", () => {
    expect(edited({ text: "Hello again!" })).toEqual(queued(PRIVATE, false));
    expect(edited(mentioning("@test_bot hello"), GROUP)).toEqual(queued(GROUP, false));
    expect(edited({ text: "Hello again!" }, GROUP)).toEqual(ignored("not-addressed"));
  });

  test("into /stop stop what they had asked for", () => {
    expect(edited(commanding("/stop"))).toEqual(stopped(PRIVATE));
    expect(edited(commanding("/stop"), GROUP)).toEqual(stopped(GROUP));
    expect(edited(commanding("/stop@other_bot"), GROUP)).toEqual(ignored("not-addressed"));
  });

  test.each<[string, Fields]>([
    ["a live location on its way", { location: { ...PLACE, live_period: 900, heading: 90 } }],
    ["a caption", captioned({ text: "Better words" })],
    ["a caption with a mention", captioned(mentioning("@test_bot"))],
    ["a poll", { poll: { id: "1" } }],
  ])("%s is not a text", (_what, content) => {
    expect(edited(content)).toEqual(ignored("kind"));
    expect(edited(content, GROUP)).toEqual(ignored("kind"));
  });
});

describe("what nobody has to answer", () => {
  test.each<[string, Fields]>([
    ["an update of a kind that Telegram has yet to invent", {}],
    [
      "a channel's post",
      { channel_post: messageOf({ text: "News", from: undefined }, { ...GROUP, type: "channel" }) },
    ],
    [
      "an edited post",
      { edited_channel_post: messageOf(mentioning("@test_bot"), { ...GROUP, type: "channel" }) },
    ],
    [
      "a change of membership",
      { my_chat_member: { chat: GROUP, from: ADA, new_chat_member: { status: "kicked" } } },
    ],
    ["a question inline", { inline_query: { id: "1", from: ADA, query: "weather" } }],
    ["somebody who joins", { message: messageOf({ new_chat_members: [ADA] }, GROUP) }],
    [
      "the bot that joins",
      { message: messageOf({ new_chat_members: [{ id: BOT.id, is_bot: true }] }, GROUP) },
    ],
    ["somebody who leaves", { message: messageOf({ left_chat_member: ADA }, GROUP) }],
    [
      "a pinned message of the bot",
      { message: messageOf({ pinned_message: messageOf({ text: "a", from: BOT }) }, GROUP) },
    ],
    ["a new topic", { message: messageOf({ forum_topic_created: { name: "Weather" } }, FORUM) }],
    ["the other end of a migration", { message: messageOf({ migrate_from_chat_id: GROUP.id }, SUPERGROUP) }],
    ["a service message in private", { message: messageOf({ message_auto_delete_timer_changed: {} }) }],
  ])("%s", (_what, fields) => {
    expect(decide(fields)).toEqual(ignored("kind"));
  });
});

describe("a group that became a supergroup", () => {
  const migration = messageOf({ migrate_to_chat_id: SUPERGROUP.id }, GROUP);

  test("goes to the worker, though nobody was addressed", () => {
    expect(decide({ message: migration })).toEqual(queued(GROUP, false));
  });

  test("whoever did it: its conversation moves along", () => {
    const stranger = { ...migration, from: { id: 7, is_bot: false } };
    const allowed = { users: new Set([ADA.id]), chats: new Set<number>() };
    expect(decide({ message: stranger }, allowed)).toEqual(queued(GROUP, false));
    expect(decide({ message: { ...migration, from: { id: 8, is_bot: true } } })).toEqual(
      queued(GROUP, false),
    );
    expect(decide({ message: { ...migration, from: undefined } })).toEqual(queued(GROUP, false));
  });
});

describe("callbacks", () => {
  const pressed = (message?: Fields) => ({
    id: "4000000000000001",
    from: ADA,
    data: "x",
    ...(message && { message }),
  });

  test("are answered, wherever the button was", () => {
    const place = { chat: GROUP.id, thread: undefined };
    const callback = { action: "callback", id: "4000000000000001" };
    expect(decide({ callback_query: pressed() })).toEqual({ ...callback, place: undefined });
    // The message is the bot's, and may be too old to be told.
    const menu = messageOf({ text: "Menu", from: { id: BOT.id, is_bot: true } }, GROUP);
    expect(decide({ callback_query: pressed(menu) })).toEqual({ ...callback, place });
    const inaccessible = { chat: GROUP, message_id: 7, date: 0 };
    expect(decide({ callback_query: pressed(inaccessible) })).toEqual({ ...callback, place });
  });

  test("of strangers are not", () => {
    const allowed = { users: new Set([7]), chats: new Set([GROUP.id]) };
    expect(decide({ callback_query: pressed() }, allowed)).toEqual(ignored("not-allowed"));
    const menu = messageOf({ text: "Menu", from: BOT }, SUPERGROUP);
    expect(decide({ callback_query: pressed(menu) }, allowed)).toEqual(ignored("not-allowed"));
  });
});

describe("allow-lists", () => {
  const lists = (users: number[], chats: number[]) => ({ users: new Set(users), chats: new Set(chats) });
  const help = (chat: Fields, from: Fields | null = ADA) => ({
    message: { ...messageOf(commanding("/help"), chat), from: from ?? undefined },
  });

  test.each([
    ["a user on the list, in private", help(PRIVATE), lists([ADA.id], [])],
    ["a user on the list, in a group", help(GROUP), lists([ADA.id], [])],
    ["anybody in a chat on the list", help(GROUP, { id: 7 }), lists([ADA.id], [GROUP.id])],
    ["no named user in a chat on the list", help(GROUP, null), lists([], [GROUP.id])],
  ])("%s may", (_who, fields, allowed) => {
    expect(decide(fields, allowed)).toMatchObject({ action: "queue" });
  });

  test.each([
    ["a stranger in private", help({ ...PRIVATE, id: 7 }, { id: 7 }), lists([ADA.id], [])],
    ["a stranger in a group", help(GROUP, { id: 7 }), lists([ADA.id], [SUPERGROUP.id])],
    ["nobody in particular", help(GROUP, null), lists([ADA.id], [])],
    [
      "a stranger with a stop",
      { message: { ...messageOf(commanding("/stop"), GROUP), from: { id: 7 } } },
      lists([ADA.id], []),
    ],
    [
      "a stranger's edit",
      { edited_message: { ...messageOf({ text: "a" }), from: { id: 7 }, chat: { id: 7, type: "private" } } },
      lists([ADA.id], []),
    ],
    [
      "what is in reply to a user on the list",
      { message: { ...messageOf({ text: "a", reply_to_message: messageOf({}) }, GROUP), from: { id: 7 } } },
      lists([ADA.id], []),
    ],
  ])("%s may not", (_who, fields, allowed) => {
    expect(decide(fields, allowed)).toEqual(ignored("not-allowed"));
  });
});

describe("hostile updates", () => {
  test("never make triage throw, and every place has a key that fits a queue's group", async () => {
    let seen = 0;
    await fc.assert(
      fc.property(hostileUpdates, (value) => {
        const update = parseUpdate(value);
        if (!update) return;
        seen += 1;
        const decision = triage(update, BOT, EVERYBODY);
        if (!("place" in decision) || !decision.place) return;
        expect(placeKey(decision.place)).toMatch(/^-?\d{1,16}(?::-?\d{1,16})?$/);
      }),
      { numRuns: 2_000 },
    );
    expect(seen).toBeGreaterThan(200);
  });

  test.each([
    [-9, 9],
    [0, -1],
    [5, 1_000_000],
    [Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER],
    [Number.MIN_SAFE_INTEGER, Number.MIN_SAFE_INTEGER],
  ])("an entity at %i of length %i says nothing", (offset, length) => {
    for (const type of ["mention", "bot_command"]) {
      const content = { text: "Hello, @test_bot", entities: [{ type, offset, length }] };
      expect(decideMessage(content, GROUP)).toEqual(ignored("not-addressed"));
    }
  });

  test("a text of 4,096 emoji, lone surrogates or turned around is a text", () => {
    for (const text of ["🧭".repeat(4_096), "\ud83e", "\udded\ud83e", "\u202e/pots", "\u0000", "\uffff"]) {
      expect(decideMessage({ text })).toEqual(queued(PRIVATE));
      expect(decideMessage({ text, entities: [{ type: "bot_command", offset: 0, length: 5 }] })).toEqual(
        queued(PRIVATE),
      );
    }
  });
});
