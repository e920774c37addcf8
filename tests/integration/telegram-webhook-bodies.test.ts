import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { fc } from "../support/property.ts";
import { messageOf } from "../support/telegram-messages.ts";
import {
  ACKNOWLEDGED,
  MARK,
  newUpdate,
  type Receiver,
  startReceiver,
  textUpdate,
} from "../support/telegram-receiver.ts";

const KB = 1024;
const JSON_TYPE = { "content-type": "application/json" };

let receiver: Receiver;

beforeAll(async () => {
  receiver = await startReceiver();
});
afterEach(() => {
  expect(receiver.leaks()).toEqual([]);
});
afterAll(() => receiver?.close());

describe("sizes", () => {
  const sized = (bytes: number) => {
    const update = textUpdate({ text: "é🙂" });
    const room = bytes - Buffer.byteLength(JSON.stringify(update));
    return { ...update, message: messageOf({ text: `é🙂${"x".repeat(room)}` }) };
  };

  // Telegram sends 64 KiB at the most.
  test.each([
    [64 * KB, 1],
    [128 * KB, 1],
    [128 * KB + 1, 0],
    [10 * KB * KB, 0],
  ])("of %i bytes, %i is taken, as text and as base64", async (bytes, count) => {
    receiver.deploy();
    for (const headers of [JSON_TYPE, {}]) {
      const update = sized(bytes);
      expect(Buffer.byteLength(JSON.stringify(update))).toBe(bytes);
      const { status, enqueued } = await receiver.outcomeOf(update, { headers });
      expect([status, enqueued.length]).toEqual([200, count]);
    }
  });
});

describe("a body that is no update", () => {
  const nested = (depth: number, open: string, close: string) => open.repeat(depth) + 1 + close.repeat(depth);
  const json = JSON.stringify;

  test.each([
    ["nothing", ""],
    ["half of one", json(textUpdate()).slice(0, -1)],
    ["one and more", `${json(textUpdate())}x`],
    ["two", json(textUpdate()) + json(textUpdate())],
    ["one after a BOM", `\ufeff${json(textUpdate())}`],
    ["one in a list", json([textUpdate()])],
    ["one in a text", json(json(textUpdate()))],
    ["null", "null"],
    ["a number", "1"],
    ["a form", "update_id=1&message=hello"],
    ["XML", "<update/>"],
    ["zeros", Buffer.alloc(100)],
    ["no UTF-8", Buffer.from([0xff, 0xfe, 0x7b, 0x7d])],
    ["half a character", Buffer.from(json(textUpdate({ text: "é" }))).subarray(0, -4)],
    ["depth", nested(50_000, "[", "]")],
    ["depth of objects", nested(20_000, '{"a":', "}")],
    ["depth without an end", "[".repeat(100_000)],
    ["depth in an update", `{"update_id":1,"message":${nested(40, '{"reply_to_message":', "}")}}`],
    ["no id", json({ message: messageOf({ text: MARK }) })],
    ["an id of text", json({ update_id: "1", message: messageOf({ text: MARK }) })],
    ["half an id", json({ update_id: 1.5, message: messageOf({ text: MARK }) })],
    ["an id beyond numbers", '{"update_id":1e999,"message":{}}'],
    ["no chat", json(textUpdate({ chat: undefined }))],
    ["a chat of text", json(textUpdate({ chat: { id: "7", type: "private" } }))],
    ["a text that is none", json(textUpdate({ text: { toString: 1 } }))],
    ["entities that are none", json(textUpdate({ entities: {} }))],
    ["a message that is a list", json(newUpdate({ message: [] }))],
  ])("%s is acknowledged and goes nowhere", async (_kind, body) => {
    receiver.deploy();
    for (const headers of [JSON_TYPE, {}]) {
      expect(await receiver.outcomeOf(body, { headers })).toEqual(ACKNOWLEDGED);
    }
    expect(receiver.logged("an update could not be read")).toHaveLength(2);
  });
});

describe("what people write", () => {
  /** What the worker finds in the queue. */
  async function arrivalOf(update: unknown, body: string | undefined, headers: Record<string, string>) {
    const { status, enqueued } = await receiver.outcomeOf(body ?? update, { headers });
    expect([status, enqueued.length]).toEqual([200, 1]);
    return JSON.parse(enqueued[0]?.body ?? "") as { update: { message: { text: string } } };
  }

  test.each([
    ["lone surrogates", "\ud83d \ude42 \udfff\ud800"],
    ["characters that XML has not", "\u0000\u0001\u0008\u000b\u000c\u001f\u007f\ufffe\uffff"],
    ["an escaped character that XML has not", "\\ufffe\\\\\uffff\\"],
    ["marks of direction", "\u202eabc\u202c \u2066x\u2069 \u200f\u200e\u061c"],
    ["4,096 emoji", "🙂".repeat(4_096)],
    ["4,096 characters without a picture", "\uffff".repeat(4_096)],
    ["markup", `</Message><a href="x">&amp;]]>&#0;'"`],
    ["line ends", "a\r\nb\u2028c\u2029d\u0085"],
    ["nothing", ""],
  ])("%s arrive unchanged", async (_kind, text) => {
    receiver.deploy();
    for (const headers of [JSON_TYPE, {}]) {
      const update = textUpdate({ text, from: { id: 7, first_name: text, [`x${text}`]: text } });
      expect((await arrivalOf(update, undefined, headers)).update).toEqual(update);
    }
  });

  const unit = fc.oneof(
    fc.integer({ min: 0, max: 0xffff }),
    fc.integer({ min: 0xd800, max: 0xdfff }),
    fc.integer({ min: 0xfff0, max: 0xffff }),
    fc.integer({ min: 0, max: 0x22 }),
    fc.constantFrom(0x5c, 0x22, 0x75),
  );
  const text = fc.array(unit, { maxLength: 40 }).map((units) => String.fromCharCode(...units));
  // "__proto__" is no name of Telegram's, and where it would come to is not to be relied on.
  const name = text.filter((key) => key !== "__proto__");

  test("any text arrives unchanged, in values and in names, escaped in any way", async () => {
    receiver.deploy();
    await fc.assert(
      fc.asyncProperty(
        fc.record({ text, more: fc.dictionary(name, text, { maxKeys: 3 }) }),
        fc.boolean(),
        fc.boolean(),
        async ({ text, more }, escaped, asBase64) => {
          const update = textUpdate({ text, from: { id: 7, more } });
          const body = escaped ? escapedJson(update) : undefined;
          const arrived = await arrivalOf(update, body, asBase64 ? {} : JSON_TYPE);
          expect(arrived.update).toEqual(update);
        },
      ),
      { numRuns: 150 },
    );
  });
});

/** JSON in ASCII alone. */
const escapedJson = (value: unknown) =>
  JSON.stringify(value).replaceAll(
    /[\u007f-\uffff]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
