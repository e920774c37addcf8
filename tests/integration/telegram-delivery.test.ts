import { Deadline } from "@parley/core/resilience/deadline";
import { TelegramClient } from "@parley/core/telegram/api";
import { DeliveryPostponedError } from "@parley/core/telegram/delivery";
import type { OutboxEntry, PartState } from "@parley/core/telegram/outbox";
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import { startTestBotApi, TOKEN } from "../support/bot-api.ts";
import { entryOf } from "../support/outbox-entries.ts";
import { type DeliveryRig, startDeliveryRig } from "../support/telegram-delivery.ts";

/** An answer's parts, each said at most once, whatever the Bot API does and wherever a worker ends. */

const PATIENTLY = { timeout: 10_000, interval: 10 };

let rig: DeliveryRig;

beforeAll(async () => {
  rig = await startDeliveryRig();
});
afterAll(() => rig?.close());
afterEach(() => rig.control.clearFaults());

const inChat = (chat: number, count: number, fields: Partial<OutboxEntry> = {}) =>
  entryOf(count, { place: { chat, thread: undefined }, ...fields });
const textsIn = async (chat: number) => (await rig.said(chat)).map(({ text }) => text);

/** An address at which nobody listens any more. */
async function refusingUrl(): Promise<string> {
  const { url, close } = await startTestBotApi();
  await close();
  return url;
}

/** An answer of three parts in a private chat of its own. */
async function answer() {
  const chat = await rig.privateChat();
  return { chat, entry: inChat(chat, 3) };
}

const fault = (kind: Parameters<DeliveryRig["control"]["addFault"]>[0]["kind"], chat: number, more = {}) =>
  rig.control.addFault({ kind, method: "sendMessage", chat, count: 1, ...more });

describe("when nothing fails", () => {
  test("all parts come, in order, each once", async () => {
    const { chat, entry } = await answer();
    const worker = rig.worker();
    expect(await worker.deliver(entry)).toEqual({ forbidden: false });
    const said = await rig.said(chat);
    expect(said.map(({ text }) => text)).toEqual(["part 0", "part 1", "part 2"]);
    for (const message of said) {
      expect(message.entities).toEqual([{ type: "bold", offset: 0, length: 4 }]);
      expect(message).not.toHaveProperty("reply_to_message");
      expect(message).not.toHaveProperty("message_thread_id");
    }
    expect(await rig.states(entry.id)).toEqual(["sent", "sent", "sent"]);
    expect(worker.counted()).toEqual({ TelegramSends: 3 });
    expect(worker.telemetry.warnings).toEqual([]);
  });

  test("an update that comes again says nothing", async () => {
    const { chat, entry } = await answer();
    await rig.worker().deliver(entry);
    const worker = rig.worker();
    expect(await worker.deliver(entry)).toEqual({ forbidden: false });
    expect(await textsIn(chat)).toHaveLength(3);
    expect(worker.counted()).toEqual({});
  });

  test("in a group the first part quotes what it answers", async () => {
    const { id: chat } = await rig.control.createGroup();
    const question = await rig.control.send({ chat, text: "@test_bot why?" });
    const entry = inChat(chat, 3, { replyTo: question.message_id });
    await rig.worker().deliver(entry);
    const quoted = (await rig.said(chat)).map((message) => message.reply_to_message?.message_id);
    expect(quoted).toEqual([question.message_id, undefined, undefined]);
  });

  test("what was deleted is answered without a quotation", async () => {
    const { id: chat } = await rig.control.createGroup();
    await rig.worker().deliver(inChat(chat, 1, { replyTo: 9_999 }));
    expect(await rig.said(chat)).toMatchObject([{ text: "part 0" }]);
  });

  test("in a topic all parts come there", async () => {
    const { id: chat } = await rig.control.createGroup({ is_forum: true });
    const { message_thread_id: thread } = await rig.control.createTopic({ chat, name: "Weather" });
    await rig.worker().deliver(inChat(chat, 2, { place: { chat, thread } }));
    const said = await rig.said(chat);
    expect(said.map((message) => message.message_thread_id)).toEqual([thread, thread]);
  });
});

describe("when the bot is too fast", () => {
  test("it waits as long as it is told, and says the same part again", async () => {
    const { chat, entry } = await answer();
    await fault("too_many_requests", chat, { text: "part 1", count: 2, retry_after: 0.05 });
    const worker = rig.worker();
    const before = performance.now();
    await worker.deliver(entry);
    expect(performance.now() - before).toBeGreaterThanOrEqual(95);
    expect(await textsIn(chat)).toEqual(["part 0", "part 1", "part 2"]);
    expect(worker.counted()).toEqual({ TelegramSends: 3, TelegramThrottled: 2 });
  });

  test("and would have to wait too long, the rest is left for the next worker", async () => {
    const { chat, entry } = await answer();
    await fault("too_many_requests", chat, { text: "part 1", retry_after: 60 });
    const worker = rig.worker();
    const failure = await worker.deliver(entry, new Deadline(10_000)).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(DeliveryPostponedError);
    expect(failure).toMatchObject({ retryAfterS: 60 });
    expect(await rig.states(entry.id)).toEqual(["sent", "pending", "pending"]);
    expect(worker.counted()).toEqual({ TelegramSends: 1, TelegramThrottled: 1 });

    const next = rig.worker();
    await next.deliver(entry);
    expect(await textsIn(chat)).toEqual(["part 0", "part 1", "part 2"]);
    expect(await rig.states(entry.id)).toEqual(["sent", "sent", "sent"]);
    expect(next.counted()).toEqual({ TelegramSends: 2 });
  });

  test("a worker that ends while it waits leaves no doubt about the part", async () => {
    const { chat, entry } = await answer();
    await fault("too_many_requests", chat, { text: "part 1", retry_after: 60 });
    const giveUp = new AbortController();
    const worker = rig.worker();
    const delivered = worker.deliver(entry, new Deadline(120_000, { signal: giveUp.signal }));
    const failure = delivered.catch((error: unknown) => error);
    await vi.waitFor(
      async () => expect(await rig.states(entry.id)).toEqual(["sent", "pending", "pending"]),
      PATIENTLY,
    );
    giveUp.abort();
    expect(await failure).toMatchObject({ code: "deadline_exceeded" });
    expect(worker.counted()).toEqual({ TelegramSends: 1, TelegramThrottled: 1 });

    const next = rig.worker();
    await next.deliver(entry);
    expect(await textsIn(chat)).toEqual(["part 0", "part 1", "part 2"]);
    expect(next.counted()).toEqual({ TelegramSends: 2 });
  });

  test("and another worker goes on meanwhile, it says no more", async () => {
    const { chat, entry } = await answer();
    await fault("too_many_requests", chat, { text: "part 1", retry_after: 0.01 });
    const worker = rig.worker({
      outbox: {
        settle: async (id, index, state, next) => {
          const done = await rig.outbox.settle(id, index, state, next);
          if (state === "pending") await rig.worker().deliver(entry);
          return done;
        },
      },
    });
    expect(await worker.deliver(entry)).toEqual({ forbidden: false });
    expect(await textsIn(chat)).toEqual(["part 0", "part 1", "part 2"]);
    expect(worker.counted()).toEqual({ TelegramSends: 1, TelegramThrottled: 1 });
  });
});

describe("when nobody knows what became of a part", () => {
  test.each([
    ["its answer was lost", "answer_lost", {}, true],
    ["its request was lost", "request_lost", {}, false],
    ["a gateway failed in front of Telegram", "bad_gateway", {}, false],
    ["a gateway failed behind Telegram", "bad_gateway", { executed: true }, true],
  ] as const)(
    "%s: it is counted, never said again, and the rest is said",
    async (_what, kind, more, arrived) => {
      for (const at of [0, 1, 2]) {
        const { chat, entry } = await answer();
        await fault(kind, chat, { text: `part ${at}`, ...more });
        const worker = rig.worker();
        expect(await worker.deliver(entry)).toEqual({ forbidden: false });
        await rig.worker().deliver(entry);
        const all = ["part 0", "part 1", "part 2"];
        expect(await textsIn(chat)).toEqual(arrived ? all : all.toSpliced(at, 1));
        expect(await rig.states(entry.id)).toEqual(["sent", "sent", "sent"].with(at, "uncertain"));
        expect(worker.counted()).toEqual({ TelegramSends: 2, TelegramUncertainSends: 1 });
        expect(worker.telemetry.warnings).toHaveLength(1);
        expect(JSON.stringify(worker.telemetry.warnings)).not.toMatch(/part \d|test-token/);
      }
    },
  );

  test("time was over: the rest is left for the next worker", async () => {
    const { chat, entry } = await answer();
    await fault("hang", chat, { text: "part 1" });
    const over = new AbortController();
    const worker = rig.worker();
    const delivered = worker.deliver(entry, new Deadline(20_000, { signal: over.signal }));
    const failure = delivered.catch((error: unknown) => error);
    await vi.waitFor(
      async () => expect(await rig.control.faults()).toMatchObject([{ struck: 1 }]),
      PATIENTLY,
    );
    over.abort();
    expect(await failure).toMatchObject({ name: "DeliveryPostponedError", retryAfterS: 1 });
    expect(await rig.states(entry.id)).toEqual(["sent", "uncertain", "pending"]);
    expect(worker.counted()).toEqual({ TelegramSends: 1, TelegramUncertainSends: 1 });
    await rig.worker().deliver(entry);
    expect(await textsIn(chat)).toEqual(["part 0", "part 2"]);
  });
});

test("a send that has too little time is not begun", async () => {
  const { chat, entry } = await answer();
  const worker = rig.worker();
  await expect(worker.deliver(entry, new Deadline(900))).rejects.toMatchObject({
    name: "DeliveryPostponedError",
    retryAfterS: 1,
  });
  expect(await rig.states(entry.id)).toEqual(["pending", "pending", "pending"]);
  expect(await textsIn(chat)).toEqual([]);
  expect(worker.counted()).toEqual({});
});

test("a Telegram that cannot be reached has received nothing: the part is said when it can be", async () => {
  const { chat, entry } = await answer();
  const nowhere = new TelegramClient({ token: TOKEN }, await refusingUrl());
  const reached: boolean[] = [];
  const worker = rig.worker({
    send: async (message, signal) => {
      reached.push(reached.length !== 1);
      if (reached.at(-1)) return rig.api.send(message, signal);
      const said = await nowhere.send(message, signal);
      expect(said).toEqual({ outcome: "later", retryAfterS: 1 });
      return { outcome: "later", retryAfterS: 0.01 };
    },
  });
  await worker.deliver(entry);
  expect(reached).toEqual([true, false, true, true]);
  expect(await textsIn(chat)).toEqual(["part 0", "part 1", "part 2"]);
  expect(await rig.states(entry.id)).toEqual(["sent", "sent", "sent"]);
  expect(worker.counted()).toEqual({ TelegramSends: 3, TelegramThrottled: 1 });
});

describe("when the chat refuses the bot", () => {
  test("what is left is not even tried", async () => {
    for (const at of [0, 1, 2]) {
      const { chat, entry } = await answer();
      const worker = rig.worker({
        send: async (message, signal) => {
          if (message.part.text === `part ${at}`) await rig.control.block({ chat });
          return rig.api.send(message, signal);
        },
      });
      const { calls: before } = await rig.control.counters();
      expect(await worker.deliver(entry)).toEqual({ forbidden: true });
      const { calls: after } = await rig.control.counters();
      expect((after["sendMessage"] ?? 0) - (before["sendMessage"] ?? 0)).toBe(at + 1);
      expect(await textsIn(chat)).toEqual(["part 0", "part 1"].slice(0, at));
      const sent = Array<PartState>(at).fill("sent");
      expect(await rig.states(entry.id)).toEqual([...sent, ...Array(3 - at).fill("dropped")]);
      expect(worker.counted()).toEqual(at === 0 ? {} : { TelegramSends: at });
    }
  });
});

describe("when Telegram does not like the formatting", () => {
  test("the part is said as plain text", async () => {
    const { chat, entry } = await answer();
    await fault("cant_parse_entities", chat, { text: "part 1" });
    const worker = rig.worker();
    await worker.deliver(entry);
    const said = await rig.said(chat);
    expect(said.map(({ text }) => text)).toEqual(["part 0", "part 1", "part 2"]);
    expect(said.map(({ entities = [] }) => entities.length)).toEqual([1, 0, 1]);
    expect(worker.counted()).toEqual({ TelegramSends: 3, TelegramPlainFallbacks: 1 });
  });

  test("for a reason of its own", async () => {
    const { chat, entry } = await answer();
    const [part] = entry.parts;
    const parts = entry.parts.map((each) => ({ ...each }));
    if (part) parts[0] = { ...part, entities: [{ type: "bold", offset: 0, length: 99 }] };
    const worker = rig.worker();
    await worker.deliver({ ...entry, parts });
    expect(await textsIn(chat)).toEqual(["part 0", "part 1", "part 2"]);
    expect(worker.counted()).toEqual({ TelegramSends: 3, TelegramPlainFallbacks: 1 });
  });

  test("it stays plain when it has to be said later", async () => {
    const { chat, entry } = await answer();
    await fault("cant_parse_entities", chat, { text: "part 1" });
    await fault("too_many_requests", chat, { text: "part 1", retry_after: 0.02 });
    const worker = rig.worker();
    await worker.deliver(entry);
    const said = await rig.said(chat);
    expect(said.map(({ entities = [] }) => entities.length)).toEqual([1, 0, 1]);
    expect(worker.counted()).toEqual({ TelegramSends: 3, TelegramPlainFallbacks: 1, TelegramThrottled: 1 });
  });

  test("and not as plain text either, it is given up, counted and told", async () => {
    const { chat, entry } = await answer();
    await fault("cant_parse_entities", chat, { text: "part 1", count: 2 });
    const worker = rig.worker();
    await worker.deliver(entry);
    expect(await textsIn(chat)).toEqual(["part 0", "part 2"]);
    expect(await rig.states(entry.id)).toEqual(["sent", "dropped", "sent"]);
    expect(worker.counted()).toEqual({
      TelegramSends: 2,
      TelegramPlainFallbacks: 1,
      TelegramRefusedSends: 1,
    });
    expect(worker.telemetry.warnings).toHaveLength(1);
  });
});

test("a part that is refused for good is counted and told, and the rest is said", async () => {
  const { chat, entry } = await answer();
  await fault("chat_not_found", chat, { text: "part 1" });
  const worker = rig.worker();
  expect(await worker.deliver(entry)).toEqual({ forbidden: false });
  expect(await textsIn(chat)).toEqual(["part 0", "part 2"]);
  expect(await rig.states(entry.id)).toEqual(["sent", "dropped", "sent"]);
  expect(worker.counted()).toEqual({ TelegramSends: 2, TelegramRefusedSends: 1 });
  expect(worker.telemetry.warnings).toMatchObject([
    { fields: { outcome: "refused", reason: "400 Bad Request: chat not found" } },
  ]);
});

describe("when the group becomes a supergroup", () => {
  /** The upgrade happens just before part `at` is said. */
  async function migratingAt(at: number, replyTo?: number) {
    const { id: chat } = await rig.control.createGroup({ type: "group" });
    const question = await rig.control.send({ chat, text: "@test_bot why?" });
    let to = 0;
    const worker = rig.worker({
      send: async (message, signal) => {
        if (message.part.text === `part ${at}` && to === 0) to = (await rig.control.migrate({ chat })).id;
        return rig.api.send(message, signal);
      },
    });
    const entry = inChat(chat, 3, { replyTo: replyTo ?? question.message_id });
    const delivered = await worker.deliver(entry);
    return { chat, to, entry, worker, delivered };
  }

  test.each([0, 1, 2])("before part %i, the rest goes there", async (at) => {
    const { chat, to, entry, worker, delivered } = await migratingAt(at);
    expect(delivered).toEqual({ forbidden: false, migratedTo: to });
    const all = ["part 0", "part 1", "part 2"];
    expect(await textsIn(chat)).toEqual(all.slice(0, at));
    expect(await textsIn(to)).toEqual(all.slice(at));
    expect(await rig.states(entry.id)).toEqual(["sent", "sent", "sent"]);
    expect(worker.counted()).toEqual({ TelegramSends: 3 });
  });

  test("nothing there is quoted: another message has that number", async () => {
    // The first message of the new chat tells of the migration.
    const { to } = await migratingAt(0, 1);
    const [first] = await rig.said(to);
    expect(first?.text).toBe("part 0");
    expect(first).not.toHaveProperty("reply_to_message");
  });

  test("and is too slow there: the next worker finds its way again", async () => {
    const { id: chat } = await rig.control.createGroup({ type: "group" });
    const { id: to } = await rig.control.migrate({ chat });
    await fault("too_many_requests", to, { text: "part 1", retry_after: 60 });
    const entry = inChat(chat, 3);
    await expect(rig.worker().deliver(entry, new Deadline(10_000))).rejects.toThrow(DeliveryPostponedError);
    const next = rig.worker();
    expect(await next.deliver(entry)).toEqual({ forbidden: false, migratedTo: to });
    expect(await textsIn(to)).toEqual(["part 0", "part 1", "part 2"]);
  });

  test("again and again, the part is given up, counted and told", async () => {
    const { chat, entry } = await answer();
    await fault("migrated", chat, { text: "part 1", migrate_to_chat_id: chat, count: 9 });
    const worker = rig.worker();
    expect(await worker.deliver(entry)).toEqual({ forbidden: false, migratedTo: chat });
    expect(await textsIn(chat)).toEqual(["part 0", "part 2"]);
    expect(worker.counted()).toEqual({ TelegramSends: 2, TelegramRefusedSends: 1 });
    expect(worker.telemetry.warnings).toHaveLength(1);
  });
});

describe("a worker that finds what another has left", () => {
  const STATES = ["pending", "sending", "sent", "uncertain", "dropped"] as const;
  const combinations = STATES.flatMap((a) => STATES.flatMap((b) => STATES.map((c) => [a, b, c] as const)));

  async function leave(entry: OutboxEntry, states: readonly PartState[]) {
    await rig.outbox.open(entry);
    for (const [index, state] of states.entries()) {
      if (index > 0 && state !== "pending") await rig.outbox.take(entry.id, index);
      const isSettled = index === 0 ? state !== "sending" : state !== "sending" && state !== "pending";
      if (isSettled) await rig.outbox.settle(entry.id, index, state as Exclude<PartState, "sending">, false);
    }
    expect(await rig.states(entry.id)).toEqual(states);
  }

  test("says what is pending, counts what was on its way, and leaves the rest alone", async () => {
    for (const states of combinations) {
      const { chat, entry } = await answer();
      await leave(entry, states);
      const worker = rig.worker();
      expect(await worker.deliver(entry)).toEqual({ forbidden: false });
      const pending = states.flatMap((state, index) => (state === "pending" ? [`part ${index}`] : []));
      const found = states.filter((state) => state === "sending").length;
      expect(await textsIn(chat), String(states)).toEqual(pending);
      const after = { pending: "sent", sending: "uncertain" } as Record<PartState, PartState>;
      expect(await rig.states(entry.id)).toEqual(states.map((state) => after[state] ?? state));
      expect(worker.counted(), String(states)).toEqual({
        ...(pending.length > 0 && { TelegramSends: pending.length }),
        ...(found > 0 && { TelegramUncertainSends: found }),
      });
    }
  });

  test("that is still at work stops as soon as the other has noticed", async () => {
    for (const at of [0, 1]) {
      const { chat, entry } = await answer();
      const slow = rig.worker({
        send: async (message, signal) => {
          if (message.part.text === `part ${at}`) await rig.worker().deliver(entry);
          return rig.api.send(message, signal);
        },
      });
      await slow.deliver(entry);
      // What was on its way comes late; nothing comes twice.
      const texts = await textsIn(chat);
      expect(texts.toSorted()).toEqual(["part 0", "part 1", "part 2"]);
      expect(await rig.states(entry.id)).toEqual(["sent", "sent", "sent"].with(at, "uncertain"));
    }
  });
});

test("what another worker has just taken is left to it", async () => {
  const { chat, entry } = await answer();
  await rig.outbox.open(entry);
  await rig.outbox.settle(entry.id, 0, "sent", false);
  const worker = rig.worker({
    outbox: { take: async (...args) => (await rig.outbox.take(...args)) && rig.outbox.take(...args) },
  });
  expect(await worker.deliver(entry)).toEqual({ forbidden: false });
  expect(await textsIn(chat)).toEqual([]);
  expect(await rig.states(entry.id)).toEqual(["sent", "sending", "pending"]);
});

describe("when the outbox fails", () => {
  const broken = async () => {
    throw new Error("no outbox");
  };

  test("before a part is said, it is not said", async () => {
    const { chat, entry } = await answer();
    await rig.outbox.open(entry);
    await rig.outbox.settle(entry.id, 0, "sent", false);
    await expect(rig.worker({ outbox: { take: broken } }).deliver(entry)).rejects.toThrow("no outbox");
    expect(await textsIn(chat)).toEqual([]);
    expect(await rig.states(entry.id)).toEqual(["sent", "pending", "pending"]);
  });

  test("after a part was said, no other is said, and that one never again", async () => {
    const { chat, entry } = await answer();
    await expect(rig.worker({ outbox: { settle: broken } }).deliver(entry)).rejects.toThrow("no outbox");
    const next = rig.worker();
    await next.deliver(entry);
    expect(await textsIn(chat)).toEqual(["part 0", "part 1", "part 2"]);
    expect(next.counted()).toEqual({ TelegramSends: 2, TelegramUncertainSends: 1 });
  });
});
