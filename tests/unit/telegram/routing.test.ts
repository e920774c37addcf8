import { planFor } from "@parley/core/telegram/routing";
import { commands, texts } from "@parley/core/telegram/texts";
import type { Update } from "@parley/core/telegram/worker";
import { Api } from "grammy/web";
import { describe, expect, test } from "vitest";
import { fc } from "../../support/property.ts";
import {
  BOT,
  captioned,
  commanding,
  covering,
  type Fields,
  GROUP,
  hostileUpdates,
  mentioning,
  messageOf,
  updateOf,
} from "../../support/telegram-messages.ts";

/** Fails whoever calls it. */
const api = new Api(BOT.token, {
  fetch: () => {
    throw new Error("routing asked Telegram something");
  },
});

const plan = (fields: Fields) => planFor(updateOf(fields) as unknown as Update, api, BOT);
const planOf = (content: Fields, chat?: Fields) => plan({ message: messageOf(content, chat) });

const say = (text: string) => ({ kind: "say", text });
const ask = (message: string) => ({ kind: "ask", message });

describe("commands", () => {
  test.each<[string, object]>([
    ["/start", say(texts.start)],
    ["/start deep-link", say(texts.start)],
    ["/help", say(texts.help)],
    ["/help me", say(texts.help)],
    ["/new", { kind: "new" }],
    ["/new conversation", { kind: "new" }],
    ["/status", { kind: "status" }],
    ["/weather", say(texts.weatherWhere)],
    ["/weather   ", say(texts.weatherWhere)],
    ["/weather Barcelona", ask("What's the weather in Barcelona?")],
    ["/weather  São Paulo, Brazil \n", ask("What's the weather in São Paulo, Brazil?")],
    ["/weather\nOslo", ask("What's the weather in Oslo?")],
    ["/dance", say(texts.unknownCommand)],
    ["/newer", say(texts.unknownCommand)],
    ["/weather_now", say(texts.unknownCommand)],
    ["/help@other_bot", say(texts.unknownCommand)],
  ])("%j", async (text, expected) => {
    expect(await planOf(commanding(text))).toEqual(expected);
  });

  test.each<[string, object]>([
    ["/help@test_bot", say(texts.help)],
    ["/new@Test_Bot", { kind: "new" }],
    ["/weather@test_bot Barcelona", ask("What's the weather in Barcelona?")],
    ["/weather@test_bot", say(texts.weatherWhere)],
    ["/HELP", say(texts.help)],
    ["/Weather@TEST_BOT Barcelona", ask("What's the weather in Barcelona?")],
  ])("%j, in a group", async (text, expected) => {
    expect(await planOf(commanding(text), GROUP)).toEqual(expected);
  });

  test("that a client offers are all known", async () => {
    for (const { command } of commands) {
      // The receiver sees to that one.
      if (command === "stop") continue;
      expect(await planOf(commanding(`/${command}`))).not.toEqual(say(texts.unknownCommand));
    }
  });

  test("help names every one of them", () => {
    for (const { command } of commands) expect(texts.help).toContain(`/${command}`);
  });

  test.each([
    covering("What does /help do?", "/help", "bot_command"),
    covering(" /help", "/help", "bot_command"),
    { text: "/help" },
    { text: "/usr/bin is what?" },
  ])("in the middle, or that Telegram does not see, are words: %j", async (content) => {
    expect(await planOf(content)).toEqual(ask(String(content["text"])));
  });
});

describe("what is said", () => {
  test.each(["Hello!", "¿Qué tiempo hace?", "🧭".repeat(4_096), "\u202e/pots", "\ud83e", "0"])(
    "%j is asked as it is",
    async (text) => {
      expect(await planOf({ text })).toEqual(ask(text));
      expect(await plan({ edited_message: messageOf({ text }) })).toEqual(ask(text));
    },
  );

  test("with a mention is asked as it is", async () => {
    const text = "What do you think, @test_bot?";
    expect(await planOf(mentioning(text), GROUP)).toEqual(ask(text));
  });

  test("in an edit counts as if it had been said so, commands too", async () => {
    expect(await plan({ edited_message: messageOf(commanding("/weather Rome")) })).toEqual(
      ask("What's the weather in Rome?"),
    );
    expect(await plan({ edited_message: messageOf(commanding("/new")) })).toEqual({ kind: "new" });
    expect(await plan({ edited_message: messageOf(commanding("/dance")) })).toEqual(
      say(texts.unknownCommand),
    );
  });
});

describe("what is sent", () => {
  const location = { latitude: 41.3874, longitude: -2.1686 };
  const file = { file_id: "a" };

  test.each<[string, Fields]>([
    ["a location", { location }],
    ["a live location", { location: { ...location, live_period: 900 } }],
    ["a venue", { location, venue: { location, title: "Sagrada Família", address: "" } }],
  ])("%s asks for the weather there", async (_what, content) => {
    expect(await planOf(content)).toEqual(ask("What's the weather at 41.3874,-2.1686?"));
  });

  test.each<[string, Fields, string]>([
    ["a photo", { photo: [file] }, texts.unreadable.photo],
    ["a photo with words", captioned({ text: "What is this?" }), texts.unreadable.photo],
    ["a photo with a command", captioned(commanding("/weather Rome")), texts.unreadable.photo],
    ["a voice message", { voice: file }, texts.unreadable.voice],
    ["music", { audio: file }, texts.unreadable.voice],
    ["a sticker", { sticker: file }, texts.unreadable.sticker],
    ["a file", { document: file }, texts.unreadable.file],
    ["a video", { video: file }, texts.unreadable.file],
    ["a video message", { video_note: file }, texts.unreadable.file],
    ["an animation, which is a file as well", { animation: file, document: file }, texts.unreadable.file],
    ["a contact", { contact: { phone_number: "1", first_name: "Eve" } }, texts.unreadable.other],
    ["a poll", { poll: { id: "1" } }, texts.unreadable.other],
    ["dice", { dice: { emoji: "🎲", value: 6 } }, texts.unreadable.other],
    ["what Telegram has yet to invent", { hologram: file }, texts.unreadable.other],
  ])("%s gets its sentence", async (_what, content, sentence) => {
    expect(await planOf(content)).toEqual(say(sentence));
  });
});

test("a group that became a supergroup", async () => {
  expect(await planOf({ migrate_to_chat_id: -1_002_000_000_001 }, GROUP)).toEqual({
    kind: "migrate",
    to: -1_002_000_000_001,
  });
});

test("an update without a message asks for nothing", async () => {
  expect(await plan({})).toEqual({ kind: "nothing" });
  expect(await plan({ callback_query: { id: "1", from: { id: 7 } } })).toEqual({ kind: "nothing" });
});

test("hostile updates have a plan", async () => {
  await fc.assert(
    fc.asyncProperty(hostileUpdates, async (value) => {
      const { kind } = await planFor(value as Update, api, BOT);
      expect(kind).toMatch(/^(?:ask|say|new|status|migrate|nothing)$/);
    }),
    { numRuns: 1_000 },
  );
});
