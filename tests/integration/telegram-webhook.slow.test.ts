import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { fc } from "../support/property.ts";
import { commanding, hostileUpdates } from "../support/telegram-messages.ts";
import { newUpdate, type Receiver, startReceiver, textUpdate } from "../support/telegram-receiver.ts";
import { damage, damaged, weighted } from "../support/wild-bodies.ts";

const RUNS = 4_000;

let receiver: Receiver;

beforeAll(async () => {
  receiver = await startReceiver();
});
afterEach(() => {
  expect(receiver.leaks()).toEqual([]);
});
afterAll(() => receiver?.close());

describe("whatever is delivered with the right secret", () => {
  const NAMES = [
    ...["update_id", "message", "edited_message", "channel_post", "callback_query", "message_id", "chat"],
    ...["from", "id", "type", "text", "caption", "entities", "offset", "length", "user", "is_bot", "date"],
    ...[
      "reply_to_message",
      "message_thread_id",
      "is_topic_message",
      "migrate_to_chat_id",
      "photo",
      "location",
    ],
    ...["__proto__", "constructor", "toString", "toJSON", "then"],
  ];
  /** Telegram's names in any place. */
  const jumble = fc.letrec((tie) => ({
    value: fc.oneof(
      { maxDepth: 6, depthSize: "small", withCrossShrink: true },
      fc.oneof(
        fc.string({ unit: "binary" }),
        fc.maxSafeInteger(),
        fc.double(),
        fc.boolean(),
        fc.constant(null),
      ),
      fc.array(tie("value"), { maxLength: 3 }),
      tie("object"),
    ),
    object: fc.dictionary(fc.constantFrom(...NAMES), tie("value"), { maxKeys: 6 }),
  })).object;
  const update = weighted<unknown>(
    [4, hostileUpdates],
    [1, jumble],
    [2, jumble.map((fields) => newUpdate(fields as Record<string, unknown>))],
    [2, jumble.map((fields) => textUpdate(fields as Record<string, unknown>))],
    [1, jumble.map((fields) => textUpdate({ ...fields, ...commanding("/stop") }))],
  );
  const body = fc
    .tuple(update, damage)
    .map(([value, harm]) => damaged(Buffer.from(JSON.stringify(value)), harm));
  const type = fc.constantFrom("application/json", "application/json; charset=utf-8", "text/plain", "");

  test(`${RUNS} deliveries are each acknowledged, by nothing or by one method for Telegram`, async () => {
    receiver.deploy();
    const seen = new Map<string, number>();
    await fc.assert(
      fc.asyncProperty(body, type, async (body, type) => {
        const headers: Record<string, string> = type === "" ? {} : { "content-type": type };
        const { status, json } = await receiver.send({ update: body, headers });
        expect(status).toBe(200);
        const method = (json as { method?: string }).method ?? "nothing";
        seen.set(method, (seen.get(method) ?? 0) + 1);
      }),
      { numRuns: RUNS },
    );
    const methods = ["answerCallbackQuery", "nothing", "sendChatAction", "sendMessage"];
    expect([...seen.keys()].sort()).toEqual(methods);
  });

  test("and without it none is", async () => {
    receiver.deploy();
    const enqueued = await receiver.enqueuedBy(() =>
      fc.assert(
        fc.asyncProperty(body, fc.string({ maxLength: 30 }), async (body, secret) => {
          const headers = { "content-type": "application/json" };
          expect((await receiver.send({ update: body, secret, headers })).status).toBe(401);
        }),
        { numRuns: RUNS / 8 },
      ),
    );
    expect(enqueued).toEqual([]);
  });
});

describe("a queue that is slow to fail", () => {
  const endlessly = { operation: "SendMessage", times: Number.POSITIVE_INFINITY };

  test.each(["throttle", "hang"] as const)(
    "%s, to the end of patience: Telegram is to bring the update again, and then it is taken",
    async (kind) => {
      receiver.deploy();
      const update = textUpdate();
      const lift = receiver.queue.inject({ ...endlessly, kind });
      const { status, enqueued } = await receiver.outcomeOf(update, { timeoutMs: 15_000 });
      lift();
      expect([status, enqueued]).toEqual([503, []]);
      expect((await receiver.outcomeOf(update)).enqueued).toHaveLength(1);
    },
  );

  test("throttling once is nothing to trouble Telegram with", async () => {
    receiver.deploy();
    receiver.queue.inject({ operation: "SendMessage", kind: "throttle" });
    const { status, enqueued } = await receiver.outcomeOf(textUpdate());
    expect([status, enqueued.length]).toEqual([200, 1]);
  });
});
