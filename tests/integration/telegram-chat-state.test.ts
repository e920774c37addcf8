import { ChatState } from "@parley/core/telegram/chat-state";
import { describe, expect, test } from "vitest";
import { enginesFor } from "../support/redis-engines.ts";
import { redisWorker } from "../support/redis-worker.ts";
import { upstashSuite } from "../support/upstash-suite.ts";

const HOUR_S = 3_600;

let chats = 0;
/** A chat, or a topic, that no other test has. */
function newPlace(thread?: number) {
  chats += 1;
  return { chat: -1_002_000_000_000 - chats, thread };
}

describe.each(await enginesFor("what is known of a chat"))("on %s", (engine) => {
  const suite = upstashSuite(engine);

  /** What one Lambda instance has. */
  function instance(bot = "test_bot") {
    const { redis, telemetry } = redisWorker(suite.gateway);
    return { state: new ChatState({ redis, bot }), telemetry };
  }

  const keys = async ({ chat }: { chat: number }) =>
    (await suite.rest.result("KEYS", `*${chat}*`)) as string[];
  const lifetimes = async (place: { chat: number }) =>
    Promise.all((await keys(place)).map(async (key) => Number(await suite.rest.result("TTL", key))));

  describe("/stop", () => {
    test("stops what was said before it, for whoever asks", async () => {
      const place = newPlace();
      expect(await instance().state.isStopped(place, 100)).toBe(false);
      expect(await instance().state.stop(place, 102)).toBe(true);
      const { state } = instance();
      expect(await state.isStopped(place, 100)).toBe(true);
      expect(await state.isStopped(place, 101)).toBe(true);
      expect(await state.isStopped(place, 102)).toBe(false);
      expect(await state.isStopped(place, 103)).toBe(false);
    });

    test("said again stops what was said since", async () => {
      const place = newPlace();
      const { state } = instance();
      await state.stop(place, 102);
      await state.stop(place, 110);
      expect(await state.isStopped(place, 105)).toBe(true);
    });

    test("is of one place and one bot", async () => {
      const place = newPlace();
      const { state } = instance();
      await state.stop({ ...place, thread: 7 }, 102);
      expect(await state.isStopped({ ...place, thread: 7 }, 100)).toBe(true);
      expect(await state.isStopped(place, 100)).toBe(false);
      expect(await state.isStopped({ ...place, thread: 8 }, 100)).toBe(false);
      expect(await instance("test").state.isStopped({ ...place, thread: 7 }, 100)).toBe(false);
    });

    test("is forgotten when there can be nothing left to stop", async () => {
      const place = newPlace();
      await instance().state.stop(place, 102);
      const [lifetime = 0, ...more] = await lifetimes(place);
      expect(more).toEqual([]);
      expect(lifetime).toBeGreaterThan(HOUR_S - 60);
      expect(lifetime).toBeLessThanOrEqual(HOUR_S);
    });
  });

  describe("a chat that refuses the bot", () => {
    test("gets no answers to what it said before, and lets the bot in by what it says later", async () => {
      const place = newPlace();
      const { state } = instance();
      expect(await state.isForbidden(place, 1_000)).toBe(false);
      await state.forbid(place, 1_010);
      expect(await instance().state.isForbidden(place, 1_000)).toBe(true);
      expect(await state.isForbidden(place, 1_009)).toBe(true);
      expect(await state.isForbidden(place, 1_010)).toBe(false);
      expect(await state.isForbidden(place, 1_011)).toBe(false);
    });

    test("refuses it in all topics", async () => {
      const place = newPlace(7);
      const { state } = instance();
      await state.forbid(place, 1_010);
      expect(await state.isForbidden({ ...place, thread: 8 }, 1_000)).toBe(true);
      expect(await state.isForbidden({ ...place, thread: undefined }, 1_000)).toBe(true);
      expect(await state.isForbidden({ ...newPlace(), thread: 7 }, 1_000)).toBe(false);
      expect(await instance("other_bot").state.isForbidden(place, 1_000)).toBe(false);
    });

    test("is remembered for as long as Telegram brings an update again", async () => {
      const place = newPlace();
      await instance().state.forbid(place, 1_010);
      const [lifetime = 0] = await lifetimes(place);
      expect(lifetime).toBeGreaterThan(24 * HOUR_S - 60);
    });
  });

  describe("an edit", () => {
    const said = { messageId: 7, text: "Barcelona", updateId: 100 };
    const edit = { messageId: 7, text: "Barcelona, Venezuela", updateId: 101 };

    test("of the last message, with another text, is news; and so is the next", async () => {
      const place = newPlace();
      await instance().state.remember(place, said);
      const { state } = instance();
      expect(await state.isNewsOfLast(place, edit)).toBe(true);
      expect(await state.isNewsOfLast(place, { ...edit, text: "Caracas", updateId: 102 })).toBe(true);
    });

    test("that comes again is still news, as the update of the message itself is", async () => {
      const place = newPlace();
      const { state } = instance();
      await state.remember(place, said);
      expect(await state.isNewsOfLast(place, edit)).toBe(true);
      expect(await instance().state.isNewsOfLast(place, edit)).toBe(true);
    });

    test("with the same text is none: a link's preview came, or a reaction", async () => {
      const place = newPlace();
      const { state } = instance();
      await state.remember(place, said);
      expect(await state.isNewsOfLast(place, { ...said, updateId: 101 })).toBe(false);
      await state.isNewsOfLast(place, edit);
      expect(await state.isNewsOfLast(place, { ...edit, updateId: 102 })).toBe(false);
      // Back to what it was: that was answered, and then something else was.
      expect(await state.isNewsOfLast(place, { ...said, updateId: 103 })).toBe(true);
    });

    test("of another message is none, and leaves the last what it is", async () => {
      const place = newPlace();
      const { state } = instance();
      await state.remember(place, said);
      await state.remember(place, { messageId: 8, text: "And Lisbon?", updateId: 101 });
      expect(await state.isNewsOfLast(place, { ...edit, updateId: 102 })).toBe(false);
      expect(await state.isNewsOfLast(place, { messageId: 8, text: "And Porto?", updateId: 103 })).toBe(true);
    });

    test("in another topic, chat or bot is none", async () => {
      const place = newPlace(7);
      const { state } = instance();
      await state.remember(place, said);
      expect(await state.isNewsOfLast({ ...place, thread: 8 }, edit)).toBe(false);
      expect(await state.isNewsOfLast({ ...place, thread: undefined }, edit)).toBe(false);
      expect(await state.isNewsOfLast(newPlace(7), edit)).toBe(false);
      expect(await instance("other_bot").state.isNewsOfLast(place, edit)).toBe(false);
      expect(await state.isNewsOfLast(place, edit)).toBe(true);
    });

    test("is known by its digest: no text is kept", async () => {
      const place = newPlace();
      const text = "nobody's business \ud83e \u202e 🧭";
      const { state } = instance();
      await state.remember(place, { ...said, text });
      expect(await state.isNewsOfLast(place, { ...said, text, updateId: 101 })).toBe(false);
      for (const key of await keys(place)) {
        expect(`${key} ${await suite.rest.result("GET", key)}`).not.toContain("business");
      }
      const [lifetime = 0] = await lifetimes(place);
      expect(lifetime).toBeGreaterThan(48 * HOUR_S - 60);
    });

    test.each([
      "",
      "null",
      "{",
      "[]",
      "7",
      '{"message_id":7}',
      '{"message_id":"7","digest":"","update_id":1}',
    ])("is none when Redis has %j for the chat", async (value) => {
      const place = newPlace();
      const { state } = instance();
      await state.remember(place, said);
      const [key = ""] = await keys(place);
      await suite.rest.result("SET", key, value);
      expect(await state.isNewsOfLast(place, edit)).toBe(false);
    });
  });

  test("nothing else is kept: three keys a chat", async () => {
    const place = newPlace();
    const { state } = instance();
    await state.stop(place, 1);
    await state.forbid(place, 1);
    await state.remember(place, { messageId: 7, text: "", updateId: 1 });
    expect((await keys(place)).toSorted()).toEqual([
      `telegram:forbidden:test_bot:${place.chat}`,
      `telegram:last:test_bot:${place.chat}`,
      `telegram:stop:test_bot:${place.chat}`,
    ]);
  });

  test.each(["gone", "hang", "cut"] as const)(
    "without Redis (%s) nothing is known, and nothing fails",
    async (fault) => {
      const place = newPlace();
      const before = instance().state;
      await before.stop(place, 102);
      await before.forbid(place, 1_010);
      await before.remember(place, { messageId: 7, text: "a", updateId: 100 });

      const { redis, telemetry } = redisWorker(suite.gateway, { timeoutMs: 100 });
      const state = new ChatState({ redis, bot: "test_bot" });
      if (fault === "gone") await suite.gateway.stop();
      else suite.gateway.fault = fault;
      try {
        expect(await state.stop(place, 103)).toBe(false);
        expect(await state.isStopped(place, 100)).toBe(false);
        expect(await state.isForbidden(place, 1_000)).toBe(false);
        expect(await state.isNewsOfLast(place, { messageId: 7, text: "b", updateId: 101 })).toBe(false);
        await state.forbid(place, 1_020);
        await state.remember(place, { messageId: 8, text: "c", updateId: 102 });
        expect(telemetry.total("RedisUnavailable")).toBeGreaterThan(0);
      } finally {
        suite.gateway.fault = undefined;
        if (fault === "gone") await suite.gateway.start();
      }
      // What was known is known again.
      expect(await before.isStopped(place, 100)).toBe(true);
      expect(await before.isNewsOfLast(place, { messageId: 7, text: "b", updateId: 101 })).toBe(true);
    },
  );
});
