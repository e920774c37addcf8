import { fc } from "./property.ts";

/** What a reader must see: a word and how it looks, as entity types and their details. */
export type Seen = { word: string; looks: string[] };
export type KnownDocument = { markdown: string; seen: Seen[] };

type Inline =
  | { kind: "word" }
  | { kind: "bold" | "italic" | "strikethrough" | "code"; children: Inline[] }
  | { kind: "link"; url: string; children: Inline[] };
type Block =
  | { kind: "paragraph" | "heading"; children: Inline[] }
  | { kind: "fence"; language: string; lines: number }
  | { kind: "quote"; children: Block[] }
  | { kind: "list"; ordered: boolean; items: Block[][] }
  | { kind: "table"; columns: number; rows: number };

const FENCES = { "": "pre", python: "pre(python)", "c++ title=x": "pre(c++)", "<x>": "pre" } as const;
const WRAPS = { bold: "**", italic: "_", strikethrough: "~~", code: "`" } as const;
const URLS = ["https://example.com/", "http://a.example.org/b_c_d?e=*f*", "tg://resolve?domain=parley"];

const inlines: fc.Arbitrary<Inline[]> = fc.letrec<{ inline: Inline; inlines: Inline[] }>((tie) => ({
  inline: fc.oneof(
    { maxDepth: 4, withCrossShrink: true },
    { arbitrary: fc.constant<Inline>({ kind: "word" }), weight: 6 },
    fc.record({
      kind: fc.constantFrom("bold" as const, "italic" as const, "strikethrough" as const, "code" as const),
      children: tie("inlines"),
    }),
    fc.record({
      kind: fc.constant("link" as const),
      url: fc.constantFrom(...URLS),
      children: tie("inlines"),
    }),
  ),
  inlines: fc.array(tie("inline"), { minLength: 1, maxLength: 6 }),
})).inlines;

const words = (count: number): Inline[] => Array.from({ length: count }, () => ({ kind: "word" }));

const blocks = (longest: number): fc.Arbitrary<Block[]> =>
  fc.letrec<{ block: Block; blocks: Block[] }>((tie) => ({
    block: fc.oneof(
      { maxDepth: 3, withCrossShrink: true },
      {
        arbitrary: fc.record({
          kind: fc.constantFrom("paragraph" as const, "heading" as const),
          children: inlines,
        }),
        weight: 4,
      },
      fc.record({
        kind: fc.constant("paragraph" as const),
        children: fc.integer({ min: 1, max: longest }).map(words),
      }),
      fc.record({
        kind: fc.constant("fence" as const),
        language: fc.constantFrom(...Object.keys(FENCES)),
        lines: fc.oneof(fc.integer({ min: 1, max: 9 }), fc.integer({ min: 1, max: longest })),
      }),
      fc.record({
        kind: fc.constant("table" as const),
        columns: fc.integer({ min: 1, max: 5 }),
        rows: fc.integer({ min: 1, max: 30 }),
      }),
      fc.record({ kind: fc.constant("quote" as const), children: tie("blocks") }),
      fc.record({
        kind: fc.constant("list" as const),
        ordered: fc.boolean(),
        items: fc.array(tie("blocks"), { minLength: 1, maxLength: 4 }),
      }),
    ),
    blocks: fc.array(tie("block"), { minLength: 1, maxLength: 5 }),
  })).blocks;

/**
 * Documents whose every visible word and its looks are known without parsing them; `longest`: words of a paragraph,
 * lines of a fence.
 */
export function knownDocuments(longest: number): fc.Arbitrary<KnownDocument> {
  return blocks(longest).map((document) => {
    const seen: Seen[] = [];
    return { markdown: writeBlocks(document, [], seen), seen };
  });
}

function writeBlocks(children: readonly Block[], looks: readonly string[], seen: Seen[]): string {
  return children.map((block) => writeBlock(block, looks, seen)).join("\n\n");
}

function writeBlock(block: Block, looks: readonly string[], seen: Seen[]): string {
  switch (block.kind) {
    case "paragraph":
      return writeInlines(block.children, looks, seen);
    case "heading":
      return `## ${writeInlines(block.children, [...looks, "bold"], seen)}`;
    case "fence": {
      const pre = FENCES[block.language as keyof typeof FENCES];
      const lines = Array.from({ length: block.lines }, () => word([...looks, pre], seen));
      return `\`\`\`${block.language}\n${lines.map((line, at) => " ".repeat((at * 2) % 6) + line).join("\n")}\n\`\`\``;
    }
    case "table": {
      const row = () =>
        `|${Array.from({ length: block.columns }, () => word([...looks, "pre"], seen)).join("|")}|`;
      const header = row();
      const rows = Array.from({ length: block.rows }, row);
      return [header, `|${"-|".repeat(block.columns)}`, ...rows].join("\n");
    }
    case "quote":
      return indent(writeBlocks(block.children, [...new Set([...looks, "quote"])], seen), "> ", "> ");
    case "list":
      return block.items
        .map((item, at) => {
          const marker = block.ordered ? `${at + 1}. ` : "- ";
          return indent(writeBlocks(item, looks, seen), marker, " ".repeat(marker.length));
        })
        .join("\n");
  }
}

function writeInlines(children: readonly Inline[], looks: readonly string[], seen: Seen[]): string {
  return children.map((child) => writeInline(child, looks, seen)).join(" ");
}

function writeInline(inline: Inline, looks: readonly string[], seen: Seen[]): string {
  if (inline.kind === "word") return word(looks, seen);
  const linked = looks.some((look) => look.startsWith("text_link"));
  if (inline.kind === "link") {
    if (linked) return writeInlines(inline.children, looks, seen);
    return `[${writeInlines(inline.children, [...looks, `text_link(${inline.url})`], seen)}](${inline.url})`;
  }
  const wrap = WRAPS[inline.kind];
  if (inline.kind === "code") {
    // Code is nothing but code, except inside a link, where it is a link.
    const inside = linked ? looks : [...looks.filter((look) => look === "quote"), "code"];
    return wrap + inline.children.map(() => word(inside, seen)).join(" ") + wrap;
  }
  if (looks.includes(inline.kind)) return writeInlines(inline.children, looks, seen);
  return wrap + writeInlines(inline.children, [...looks, inline.kind], seen) + wrap;
}

function word(looks: readonly string[], seen: Seen[]): string {
  const text = `w${seen.length}`;
  seen.push({ word: text, looks: looks.toSorted() });
  return text;
}

function indent(text: string, first: string, rest: string): string {
  return text
    .split("\n")
    .map((line, at) => (at === 0 ? first : rest) + line)
    .join("\n");
}

const NASTY = [
  ..."*_~`[](){}<>!#|\\-+=&:;.'\"^$%@/",
  ..."\n\n\n  \t\0\r\u2028\u202e\u200f\u200e\u200b\ufeff\u00a0\u3000\u0301\u030a\u2066",
  ...[
    "**",
    "__",
    "~~",
    "```",
    "~~~",
    "\n```js\n",
    "\n~~~\n",
    "\n> ",
    "\n- ",
    "\n1. ",
    "\n   - ",
    "\n# ",
    "\n---\n",
    "\n===\n",
  ],
  ...[
    "\n    ",
    "\n|a|b|\n|-|:-:|\n|",
    "|",
    " | ",
    "- [x] ",
    "- [ ] ",
    "[^1]",
    "\n[^1]: ",
    "\n[ref]: https://a.b/c\n",
    "[ref]",
  ],
  ...[
    "](",
    "](https://a.b/",
    "](http://localhost:1/)",
    "](tel:+123)",
    "](mailto:a@b.c)",
    "](tg://user?id=1)",
    "](javascript:x)",
  ],
  ...[
    "![",
    "![](https://a.b/i.png)",
    "<https://a.b/_c_>",
    "<a@b.c>",
    "https://a.b/__init__.py",
    "www.a.b",
    "a@b.c",
    "<br>",
    "<b>",
    "<!--",
    "-->",
  ],
  ...[
    "&amp;",
    "&#x202e;",
    "&#10;",
    "&#0;",
    "&nbsp;",
    "\\",
    "\\\n",
    "  \n",
    "@user",
    "#tag",
    "/command",
    "$USD",
    "10~20",
  ],
  ...[
    "word",
    "w",
    "東京",
    "です。",
    "مرحبا",
    "é",
    "e\u0301",
    "👍🏽",
    "👩‍👩‍👧‍👦",
    "🇩🇪",
    "☀️",
    "\ud83d",
    "\ude00",
    "İ",
    "ß",
    "1",
    "1.",
  ],
];

const nastyFragments = fc.oneof(
  { arbitrary: fc.constantFrom(...NASTY), weight: 9 },
  fc.string({ unit: "binary", maxLength: 9 }),
);

/** Anything: fragments of every construct in any order, some of it long enough to be split. */
export const nastyDocuments: fc.Arbitrary<string> = fc
  .array(nastyFragments, { minLength: 1, maxLength: 60 })
  .chain((fragments) =>
    fc
      .oneof({ arbitrary: fc.constant(1), weight: 9 }, fc.integer({ min: 2, max: 60 }))
      .map((times) => fragments.join("").repeat(times)),
  );

/** Documents with sound structure whose words are often anything but words. */
export function spoiltDocuments(longest: number): fc.Arbitrary<string> {
  return fc
    .tuple(
      knownDocuments(longest),
      fc.array(fc.oneof(fc.constant("word"), nastyFragments), { minLength: 1, maxLength: 9 }),
    )
    .map(([{ markdown }, fragments]) => {
      let used = 0;
      return markdown.replace(/w\d+/g, () => fragments[used++ % fragments.length] ?? "");
    });
}

/** Documents of all of these kinds, few of them long. */
export const anyDocument: fc.Arbitrary<string> = fc.oneof(
  { arbitrary: nastyDocuments, weight: 12 },
  { arbitrary: spoiltDocuments(20), weight: 12 },
  { arbitrary: spoiltDocuments(1500), weight: 1 },
);
