import { type DescMessage, fromJson, type JsonValue, toBinary } from "@bufbuild/protobuf";
import { ChatService } from "../../packages/functions/src/generated/acai/chat/chat_pb.js";
import { fc } from "./property.ts";

/** What the requests may know of the service that they are sent to. */
export type Known = {
  secret: string;
  /** Part of every key that is not one. */
  wrongKey: string;
  /** Conversations that are asked for, and never deleted. */
  ids: readonly string[];
  disposableIds: readonly string[];
  othersIds: readonly string[];
  pageTokens: readonly string[];
  origin: string;
  /** In every message's text, so that a message can be found where it must not be. */
  mark: string;
};

export const JSON_TYPE = "application/json";
export const PROTOBUF = "application/protobuf";
const KB = 1024;

export const one = <T>(...values: T[]) => fc.constantFrom(...values);
export const weighted = <T>(...choices: [weight: number, arbitrary: fc.Arbitrary<T>][]) =>
  fc.oneof(...choices.map(([weight, arbitrary]) => ({ weight, arbitrary })));

/** UTF-16 as it comes: lone surrogates, NUL and controls among it. */
const utf16 = fc
  .array(
    fc.oneof(fc.integer({ min: 0, max: 0xffff }), fc.integer({ min: 0xd800, max: 0xdfff }), one(0, 0xfeff)),
    { maxLength: 12 },
  )
  .map((units) => String.fromCharCode(...units));
export const text = fc.oneof(
  fc.string({ maxLength: 20 }),
  fc.string({ unit: "grapheme", maxLength: 8 }),
  utf16,
);

export const PROTOTYPE_NAMES = [
  "__proto__",
  "constructor",
  "prototype",
  "toString",
  "hasOwnProperty",
  "then",
];
/** One character to its reader, and 20 KB. */
const LONG = `e${"\u0301".repeat(10 * KB)}`;
export const FIELDS = [
  "message",
  "session_metadata",
  "sessionMetadata",
  "conversation_id",
  "conversationId",
  "page_size",
  "pageSize",
  "page_token",
  "pageToken",
  "platform",
  "user_id",
  "chat_id",
];

/** JSON text that no JSON.stringify would write, or that somebody might stumble over. */
const oddJson = fc.oneof(
  one("1e999", "-1e999", "-0", "0.1e-400", "123456789012345678901234567890", "2147483648", "null", "true"),
  one('"\\ud800"', '"\\udc00\\ud800"', '"\\u0000"', '"\\uFEFF"', '""', '" "', "{}", "[]"),
  one('{"__proto__":{"polluted":1}}', '{"constructor":{"prototype":{"polluted":1}}}', '{"toJSON":1}'),
  fc.integer({ min: 1, max: 40 }).map((depth) => "[".repeat(depth) + "]".repeat(depth)),
  fc.integer({ min: 1, max: 20 }).map((depth) => `${'{"a":'.repeat(depth)}1${"}".repeat(depth)}`),
  fc.json({ maxDepth: 4 }),
  text.map((value) => JSON.stringify(value)),
);

/** What the contract's fields may hold. */
function values({ ids, othersIds, pageTokens, mark }: Known) {
  const id = weighted([3, one(...ids)], [1, one(...othersIds)], [1, text]);
  // Some of them go on to the tools, with a place or a day of the client's.
  const message = fc
    .tuple(one("", "", "weather in ", "holidays after ", "what time is it in "), text)
    .map(([question, value]) => `${mark} ${question}${value}`);
  const session = fc.record({ platform: one("api", "web"), user_id: text, chat_id: one("a", "b", "ü/#?") });
  const page = { page_size: fc.integer({ min: -1, max: 120 }), page_token: one(...pageTokens, "") };
  return { id, message, session, page };
}

/** In the contract's JSON shape, by the last part of the route's path. */
function fittingBodies(known: Known): Record<string, fc.Arbitrary<Record<string, unknown>>> {
  const { id, message, session, page } = values(known);
  const start = fc.record({ message, session_metadata: session }, { requiredKeys: ["message"] });
  return {
    StartConversation: start,
    ContinueConversation: weighted<Record<string, unknown>>(
      [1, fc.record({ message, session_metadata: session })],
      [1, fc.record({ message, conversation_id: id })],
    ),
    ListConversations: fc.record(page),
    DescribeConversation: fc.record({ conversation_id: one(...known.ids, ...known.othersIds), ...page }),
    conversations: fc.record({ message }),
    messages: start,
  };
}

/** JSON written by hand: names may come twice, and `__proto__` is a name like any other. */
function oddBodies(known: Known): fc.Arbitrary<string> {
  const { id, message, session, page } = values(known);
  // A map: names of Object.prototype's are among those that are looked up.
  const valid = new Map<string, fc.Arbitrary<unknown>>([
    ["message", message],
    ["session_metadata", session],
    ["conversation_id", id],
    ...Object.entries(page),
  ]);
  const textOf = (name: string): fc.Arbitrary<string> => {
    const right = valid.get(name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)) ?? text;
    return weighted(
      [5, right.map((value) => JSON.stringify(value))],
      [1, message.map((value) => JSON.stringify(value))],
      [3, oddJson],
    );
  };
  const member = weighted([8, one(...FIELDS)], [1, one(...PROTOTYPE_NAMES, LONG)], [1, text]).chain((name) =>
    textOf(name).map((value) => `${JSON.stringify(name)}:${value}`),
  );
  const object = fc.array(member, { maxLength: 5 }).map((members) => `{${members.join(",")}}`);
  const big = one(16 * KB - 200, 16 * KB + 1, 64 * KB - 20, 64 * KB + 1, 70 * KB).map((length) =>
    JSON.stringify({ message: `${known.mark}${"é".repeat(length / 2)}` }),
  );
  return weighted([6, object], [1, oddJson], [1, big]);
}

/** As protobuf; what UTF-8 cannot hold the encoder would refuse. */
function encode(input: DescMessage, value: unknown): Uint8Array {
  const wellFormed = JSON.stringify(value, (_name, each) =>
    typeof each === "string" ? each.toWellFormed() : each,
  );
  return toBinary(input, fromJson(input, JSON.parse(wellFormed) as JsonValue));
}

const oddProtobuf = fc.oneof(
  fc.uint8Array({ maxLength: 60 }),
  // Groups within groups, and lengths and numbers without an end.
  fc.integer({ min: 1, max: 300 }).map((depth) => new Uint8Array(depth).fill(0x0b)),
  one(
    [0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f],
    [0x08, ...Array<number>(12).fill(0xff)],
    [0x0a, 0x02, 0xc0, 0x80],
  ).map((bytes) => new Uint8Array(bytes)),
);

export type Content = { type: string; body: Buffer };

/** Nothing, with the content type that clients send along all the same. */
export const noContent: fc.Arbitrary<Content> = fc.constant({ type: JSON_TYPE, body: Buffer.alloc(0) });

/** What the route of `path` wants, in one of its encodings; nothing when it wants nothing. */
export function rightContent(known: Known): (path: string) => fc.Arbitrary<Content> {
  const fitting = fittingBodies(known);
  return (path) => {
    const name = path.split("/").at(-1) ?? "";
    const input = ChatService.methods.find((method) => method.name === name)?.input;
    const right = Object.hasOwn(fitting, name) ? fitting[name] : undefined;
    if (!right) return noContent;
    return fc
      .tuple(right, one(JSON_TYPE, PROTOBUF))
      .map(([value, type]) =>
        input && type === PROTOBUF
          ? { type, body: Buffer.from(encode(input, value)) }
          : { type: JSON_TYPE, body: Buffer.from(JSON.stringify(value)) },
      );
  };
}

/** Bodies that no route wants, or that one does by chance. */
export const wrongContent = (known: Known): fc.Arbitrary<Content> =>
  weighted(
    [4, oddBodies(known).map((body) => ({ type: JSON_TYPE, body: Buffer.from(body) }))],
    [1, oddProtobuf.map((body) => ({ type: PROTOBUF, body: Buffer.from(body) }))],
    [1, noContent],
  );

export type Damage = { kind: string; at: number; byte: number };
/** What happens to a body on its way. */
export const damage: fc.Arbitrary<Damage> = fc.record({
  kind: weighted(
    [12, fc.constant("none")],
    [8, one("cut", "bom", "nul", "byte", "insert", "append", "twice", "wrap")],
  ),
  at: fc.double({ min: 0, max: 1, noNaN: true }),
  byte: fc.oneof(one(0xff, 0xc0, 0x80, 0xed, 0), fc.integer({ min: 0, max: 255 })),
});

export function damaged(body: Buffer, { kind, at, byte }: Damage): Buffer {
  const place = Math.floor(at * body.length);
  const [before, after] = [body.subarray(0, place), body.subarray(place)];
  const join = (...parts: Uint8Array[]) => Buffer.concat(parts);
  switch (kind) {
    case "cut":
      return before;
    case "bom":
      return join(Buffer.from([0xef, 0xbb, 0xbf]), body);
    case "nul":
      return join(before, Buffer.from([0]), after);
    case "byte":
      return join(before, Buffer.from([byte]), after.subarray(1));
    case "insert":
      return join(before, Buffer.from([byte, byte]), after);
    case "append":
      return join(body, Buffer.from([byte]));
    case "twice":
      return join(body, body);
    case "wrap":
      return join(Buffer.from("["), body, Buffer.from("]"));
    default:
      return body;
  }
}
