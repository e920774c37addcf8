import { createRequire } from "node:module";
import { checkText } from "@parley/local/telegram/entities";
import { describe, expect, test } from "vitest";
import { fc } from "../support/property.ts";

type Entity = { type: string; offset: number; length: number; url?: string; language?: string };

const at = (type: string, offset: number, length: number, more: object = {}): Entity => ({
  ...{ type, offset, length },
  ...more,
});
const fault = (text: string, entities: unknown[]): string => {
  try {
    checkText(text, entities);
    return "accepted";
  } catch (error) {
    return (error as { description: string }).description;
  }
};

describe("refused in Telegram's own words", () => {
  test.each<[string, unknown[], string]>([
    [
      "ab",
      [at("bold", 0, 3)],
      "entity beginning at UTF-16 offset 0 ends after the end of the text at UTF-16 offset 3",
    ],
    ["ab", [at("bold", 3, 1)], "entity begins after the end of the text at UTF-16 offset 3"],
    ["ab", [at("bold", -1, 1)], "receive an entity with incorrect offset -1"],
    ["ab", [at("bold", 0, -1)], "receive an entity with incorrect length -1"],
    [
      "ab😀",
      [at("bold", 0, 3)],
      "entity beginning at UTF-16 offset 0 ends in a middle of a UTF-16 symbol at byte offset 6",
    ],
    ["ab😀", [at("bold", 3, 1)], "entity begins in a middle of a UTF-16 symbol at byte offset 6"],
    ["ab", [at("blink", 0, 1)], "can't parse MessageEntity: Unsupported type specified"],
    ["ab", [{ type: "bold", offset: 0 }], `can't parse MessageEntity: Can't find field "length"`],
    ["ab", ["bold"], "can't parse MessageEntity: expected an Object"],
    ["ab", [at("text_link", 0, 1)], `can't parse MessageEntity: Can't find field "url"`],
    [
      "ab",
      [at("text_link", 0, 1, { url: "ftp://a.b" })],
      "entity URL 'ftp://a.b' is invalid: Unsupported URL protocol",
    ],
    [" \n ", [], "text must be non-empty"],
    ["\u200b\u200f", [], "text must be non-empty"],
    ["a\ud83d", [], "strings must be encoded in UTF-8"],
  ])("%j with %j", (text, entities, description) => {
    expect(fault(text, entities)).toBe(`Bad Request: ${description}`);
  });
});

describe("refused though Telegram would mend it", () => {
  test.each<[string, Entity[], RegExp]>([
    ["empty", [at("bold", 1, 0)], /incorrect length 0/],
    [
      "more than 100",
      Array.from({ length: 101 }, (_, index) => at("bold", index * 2, 1)),
      /ENTITIES_TOO_LONG/,
    ],
    ["overlapping in part", [at("bold", 0, 4), at("italic", 2, 4)], /overlaps the bold/],
    ["bold in code", [at("code", 0, 4), at("bold", 1, 2)], /bold .* can't be part of the code/],
    ["code in bold", [at("bold", 0, 4), at("code", 1, 2)], /code .* can't be part of the bold/],
    ["code over the same text as bold", [at("code", 0, 4), at("bold", 0, 4)], /can't be part of/],
    [
      "a quote in a quote",
      [at("blockquote", 0, 6), at("blockquote", 1, 2)],
      /can't be part of the blockquote/,
    ],
    [
      "a link in a link",
      [at("text_link", 0, 6, { url: "http://a.b" }), at("text_link", 1, 2, { url: "http://a.b" })],
      /can't be part of the text_link/,
    ],
    [
      "a quote in a link",
      [at("text_link", 0, 6, { url: "http://a.b" }), at("blockquote", 1, 2)],
      /can't be part/,
    ],
  ])("%s", (_what, entities, reason) => {
    expect(fault("abcdef".repeat(50), entities)).toMatch(reason);
  });
});

test.each([
  ["http://example.com/a?b#c", "http://example.com/a?b#c"],
  ["example.com", "http://example.com/"],
  ["HTTPS://Example.COM:8080", "https://example.com:8080/"],
  ["tg://resolve?domain=x", "tg://resolve?domain=x"],
  ["mailto:a@b.c", "http://mailto:a@b.c/"],
  ["http://ü.de/ä b", "http://ü.de/ä%20b"],
])("the link %s is kept as %s", (url, kept) => {
  expect(checkText("link", [at("text_link", 0, 4, { url })]).entities).toMatchObject([{ url: kept }]);
});

test("a text is cleaned and trimmed, and its entities go along", () => {
  const text = " \r\n\ta\u202eb\u0007c 😀 \n ";
  const { text: kept, entities } = checkText(text, [at("bold", 4, 5), at("italic", 10, 2)]);
  expect(kept).toBe("ab c 😀");
  expect(entities).toEqual([at("bold", 0, 4), at("italic", 5, 2)]);
  expect(checkText("  ab  ", [at("bold", 0, 6)])).toEqual({ text: "  ab", entities: [at("bold", 0, 4)] });
});

test("commands, mentions, links, addresses and hashtags are found, but not in code", () => {
  const text =
    "/start@test_bot @someone see https://a.b/c(d)). me@mail.example #tag a/b @x 12/34 www.site.org, x";
  const found = checkText(text, []).entities.map(({ type, offset, length }) => [
    type,
    text.slice(offset, offset + length),
  ]);
  expect(found).toEqual([
    ["bot_command", "/start@test_bot"],
    ["mention", "@someone"],
    ["url", "https://a.b/c(d))"],
    ["email", "me@mail.example"],
    ["hashtag", "#tag"],
    ["url", "www.site.org"],
  ]);
  expect(checkText("see /start", [at("code", 0, 10)]).entities).toEqual([at("code", 0, 10)]);
});

const LINKS = [
  ...[
    "http://a.b",
    "https://a.b:8443/x y",
    "a.b",
    "a",
    "",
    "#a",
    "/a.b",
    "tel:+123",
    "tel:123",
    "mailto:a@b.c",
  ],
  ...[
    "mailto:a@b",
    "javascript:alert(1)",
    "http://localhost/",
    "http://127.0.0.1",
    "http://[::1]/",
    "http://[::x]/",
  ],
  ...[
    "http://a.b:99999/",
    "http://a.b:0/",
    "http://a b.c",
    "http://a%zz.b",
    "http://a%41.b",
    "http://u:p@a.b/",
  ],
  ...["http://u@x@a.b/", "tg://resolve?domain=a", "tg:msg", "tg://a.b", "ton://transfer/x", "tonsite://a.b"],
  ...[
    "tg://http://x",
    "tg:https://x.y",
    "//a.b",
    "http:a.b",
    "http:/a.b",
    "ftp://a.b",
    "http://.",
    "http://a.b\\c",
  ],
  ...[
    'http://x.y/"<>',
    "http://ü.de/ä",
    "http://a_b.c",
    "http://a.b:",
    "http://:80",
    "data:text/html,a.b",
    ".",
  ],
];

/** Why TDLib refuses a text with entities, or undefined when it takes it. */
type Tdlib = (text: string, entities: Entity[]) => string | undefined;

/** TDLib comes as an optional dependency, for some platforms only. */
function loadTdlib(): Tdlib | undefined {
  const require = createRequire(import.meta.url);
  try {
    const tdl = require("tdl") as {
      configure(options: object): void;
      execute(request: object): { _: string };
    };
    const tdjson = require.resolve("@prebuilt-tdlib/linux-x64-glibc/libtdjson.so");
    tdl.configure({ tdjson, verbosityLevel: 0 });
    return (text, entities) => {
      const formatted = { _: "formattedText", text, entities: entities.map(toTdlib) };
      const result = tdl.execute({ _: "getMarkdownText", text: formatted }) as {
        _: string;
        message?: string;
      };
      return result._ === "error" ? result.message : undefined;
    };
  } catch (error) {
    process.stdout.write(
      `skipped beside TDLib, which does not load: ${(error as Error).message.split("\n")[0]}\n`,
    );
    return undefined;
  }
}

const TDLIB_TYPES: Record<string, string> = {
  ...{
    bold: "Bold",
    italic: "Italic",
    code: "Code",
    pre: "Pre",
    blockquote: "BlockQuote",
    text_link: "TextUrl",
  },
};
const toTdlib = ({ type, offset, length, url }: Entity) => ({
  ...{ _: "textEntity", offset, length },
  type: { _: `textEntityType${TDLIB_TYPES[type]}`, ...(type === "text_link" ? { url } : {}) },
});

const MARKS = ["bold", "italic", "underline", "strikethrough", "spoiler"];

/** Texts of whole characters, with entities that obey every rule, as nested ranges of characters. */
const valid = fc
  .tuple(
    fc.array(fc.constantFrom("a", "é", "ß", "日", "😀", "👩‍👩‍👧", "‏", "x", "y z"), {
      minLength: 1,
      maxLength: 40,
    }),
    fc.array(fc.record({ at: fc.nat(), size: fc.nat(), kind: fc.nat() }), { maxLength: 25 }),
  )
  .map(([symbols, picks]) => {
    const starts = [0];
    for (const symbol of symbols) starts.push((starts.at(-1) ?? 0) + symbol.length);
    const text = `[${symbols.join("")}]`;
    const entities: Entity[] = [];
    for (const { at: place, size, kind } of picks) {
      const first = place % symbols.length;
      const last = first + 1 + (size % (symbols.length - first));
      const range = { offset: 1 + (starts[first] ?? 0), length: (starts[last] ?? 0) - (starts[first] ?? 0) };
      const type = [...MARKS, "code", "pre", "text_link", "blockquote"][kind % 9] ?? "bold";
      const entity: Entity = {
        type,
        ...range,
        ...(type === "text_link" ? { url: "https://a.example/" } : {}),
      };
      if (entities.every((other) => mayStandTogether(other, entity))) entities.push(entity);
    }
    return { text, entities };
  });

/** The documentation's rules, written down once more and for pairs. */
function mayStandTogether(one: Entity, other: Entity): boolean {
  const end = (entity: Entity) => entity.offset + entity.length;
  if (end(one) <= other.offset || end(other) <= one.offset) return true;
  const contains = (outer: Entity, inner: Entity) => outer.offset <= inner.offset && end(inner) <= end(outer);
  const may = (outer: Entity, inner: Entity) => {
    if (!contains(outer, inner)) return false;
    if (MARKS.includes(outer.type)) return !["code", "pre"].includes(inner.type);
    if (outer.type === "text_link") return MARKS.includes(inner.type);
    return outer.type === "blockquote" && inner.type !== "blockquote";
  };
  return may(one, other) || may(other, one);
}

test("every text with valid entities is accepted, and they keep what they cover", async () => {
  await fc.assert(
    fc.property(valid, ({ text, entities }) => {
      const kept = checkText(text, entities);
      expect(kept.text).toBe(text.trimEnd());
      expect(kept.entities).toHaveLength(entities.length);
      for (const entity of entities) expect(kept.entities).toContainEqual(entity);
    }),
    { numRuns: 300 },
  );
});

const corruptions: Record<string, (text: string, entity: Entity) => Entity[]> = {
  "past the end": (text, entity) => [{ ...entity, length: text.length - entity.offset + 1 }],
  "begins past the end": (text, entity) => [{ ...entity, offset: text.length }],
  "before the start": (_text, entity) => [{ ...entity, offset: -1 }],
  empty: (_text, entity) => [{ ...entity, length: 0 }],
  "a fraction": (_text, entity) => [{ ...entity, offset: entity.offset + 0.5 }],
  "of no type": (_text, { offset, length }) => [{ offset, length } as Entity],
  "of an unknown type": (_text, entity) => [{ ...entity, type: `${entity.type}s` }],
  "with a bad link": (_text, entity) => [{ ...entity, type: "text_link", url: "http://localhost" }],
  "twice verbatim": (_text, entity) => [
    at("code", entity.offset, entity.length),
    at("pre", entity.offset, entity.length),
  ],
  "crossed by another": (text, entity) => [
    at("bold", 0, entity.offset + entity.length),
    at("italic", entity.offset, text.length - entity.offset),
  ],
  "in half a character": (text) => [at("bold", 0, text.search(/[\udc00-\udfff]/))],
};

test("valid entities, one of them corrupted, are refused with a 400", async () => {
  await fc.assert(
    fc.property(
      valid.filter(({ entities }) => entities.length > 0),
      fc.nat(),
      fc.constantFrom(...Object.entries(corruptions)),
      ({ text, entities }, pick, [, corrupt]) => {
        const index = pick % entities.length;
        const corrupted = [
          ...entities.toSpliced(index, 1),
          ...corrupt(`${text}😀]`, entities[index] as Entity),
        ];
        expect(fault(`${text}😀]`, corrupted)).toMatch(/^Bad Request: /);
      },
    ),
    { numRuns: 1_000 },
  );
});

describe("beside TDLib", () => {
  const tdlib = loadTdlib();

  // With several faults we may name another one first.
  test.skipIf(tdlib === undefined)("what TDLib refuses is refused, a single fault in its words", async () => {
    const anything = fc.record({
      text: fc.array(fc.constantFrom("a", " ", "\n", "é", "😀", "https://x.org", "@user", "\u202e"), {
        minLength: 1,
      }),
      entities: fc.array(
        fc.record({
          type: fc.constantFrom("bold", "italic", "code", "pre", "blockquote", "text_link"),
          offset: fc.integer({ min: -1, max: 12 }),
          length: fc.integer({ min: -1, max: 12 }),
          url: fc.constantFrom(...LINKS),
        }),
        { maxLength: 4 },
      ),
    });
    await fc.assert(
      fc.property(anything, ({ text: symbols, entities }) => {
        const text = symbols.join("");
        const [ours, theirs] = [fault(text, entities), tdlib?.(text, entities)];
        // What only we refuse: see above.
        if (/can't parse entities|incorrect length 0|non-empty/.test(ours)) return;
        if (ours === "accepted") expect(theirs).toBeUndefined();
        else if (entities.length === 1) expect(ours.slice("Bad Request: x".length)).toBe(theirs?.slice(1));
      }),
      { numRuns: 1_000 },
    );
  });

  test.skipIf(tdlib === undefined).each(LINKS)("the link %j", (url) => {
    const ours = fault("abc", [at("text_link", 0, 3, { url })]);
    const theirs = tdlib?.("abc", [at("text_link", 0, 3, { url })]);
    expect(ours === "accepted" ? undefined : ours).toBe(
      theirs?.replace("Entity URL", "Bad Request: entity URL"),
    );
  });
});
