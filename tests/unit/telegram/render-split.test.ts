import { plainParts, type RenderedPart, renderMarkdown } from "@parley/core/telegram/render/index";
import { describe, expect, test } from "vitest";
import { described, expectWellFormed } from "../../support/rendered-parts.ts";

const sentence = (n: number) => `Sentence number ${n} is not very long. `;
const paragraph = (sentences: number) =>
  Array.from({ length: sentences }, (_, n) => sentence(n))
    .join("")
    .trim();

async function split(markdown: string): Promise<RenderedPart[]> {
  const parts = await renderMarkdown(markdown);
  expectWellFormed(parts);
  return parts;
}

describe("where an answer is cut", () => {
  test("between paragraphs", async () => {
    const parts = await split([paragraph(40), paragraph(45), paragraph(50)].join("\n\n"));
    expect(parts.map(({ text }) => text)).toEqual([`${paragraph(40)}\n\n${paragraph(45)}`, paragraph(50)]);
  });

  test("between lines when a paragraph is too long", async () => {
    const lines = Array.from({ length: 130 }, (_, n) => `- ${sentence(n)}${sentence(n)}`).join("\n");
    const parts = await split(lines);
    expect(parts).toHaveLength(3);
    for (const { text } of parts) expect(text).toMatch(/^• Sentence[\s\S]*long\.$/);
  });

  test("between sentences when a line is too long", async () => {
    const parts = await split(paragraph(200));
    expect(parts.length).toBeLessThanOrEqual(3);
    for (const { text } of parts) expect(text).toMatch(/^Sentence[\s\S]*long\.$/);
    expect(parts.map(({ text }) => text).join(" ")).toBe(paragraph(200));
    const japanese = await split("明日は晴れでしょう。".repeat(800));
    for (const { text } of japanese) expect(text).toMatch(/^明日[\s\S]*。$/);
  });

  test("between words when a sentence is too long", async () => {
    const words = Array.from({ length: 2000 }, (_, n) => `word${n}`).join(" ");
    const parts = await split(words);
    expect(parts.map(({ text }) => text).join(" ")).toBe(words);
    for (const { text } of parts) expect(text).toMatch(/^word\d+ [\s\S]* word\d+$/);
  });

  test("between characters when a word is too long", async () => {
    const parts = await split("x".repeat(9000));
    expect(parts.map(({ text }) => text.length)).toEqual([4096, 4096, 808]);
    const emoji = await split("👩‍👩‍👧‍👦".repeat(1000));
    for (const { text } of emoji) expect(text).toMatch(/^(?:👩‍👩‍👧‍👦)+$/u);
    const marks = await split(`a${"\u0301".repeat(9000)}`);
    expect(marks.map(({ text }) => text).join("")).toHaveLength(9001);
  });

  test("not after a heading", async () => {
    const parts = await split(`${paragraph(100)}\n\n## Heading\n\n${paragraph(20)}`);
    expect(parts[1]?.text).toMatch(/^Heading\n\nSentence number 0 /);
  });

  test("before a fence, a table, a quotation, a link or a phrase that fits whole", async () => {
    const long = "y".repeat(2000);
    const wholes = [
      `\`\`\`js\n${long}\n\`\`\``,
      `> ${long}`,
      `[${long}](https://x.example/)`,
      `**${long}**`,
      `\`${long}\``,
    ];
    for (const whole of wholes) {
      const parts = await split(`${paragraph(60)} and\n\n${whole}`);
      expect(parts).toHaveLength(2);
      expect(parts[1]?.entities).toEqual([expect.objectContaining({ offset: 0, length: 2000 })]);
    }
  });

  test("never inside a link, a phrase or inline code, whatever the welcome of their spaces", async () => {
    const phrase = (n: number) =>
      `word ${n}. Here is **what. is bold ${n}**, \`co de. ${n}\`, [a link. to ${n}](https://x.example/)`;
    const parts = await split(Array.from({ length: 150 }, (_, n) => phrase(n)).join(" "));
    expect(parts.length).toBeGreaterThan(2);
    expect(parts.flatMap(described)).toEqual(
      Array.from({ length: 150 }, (_, n) => [
        `bold:what. is bold ${n}`,
        `code:co de. ${n}`,
        `text_link(https://x.example/):a link. to ${n}`,
      ]).flat(),
    );
  });

  test("inside a fence that does not fit, between lines, each part with its language", async () => {
    const code = Array.from({ length: 300 }, (_, n) => `${n % 2 ? "\t" : ""}const x${n} = "not **bold**";`);
    const parts = await split(`Here:\n\n\`\`\`ts\n${code.join("\n")}\n\`\`\`\n\nDone.`);
    expect(parts).toHaveLength(3);
    const fences = parts.flatMap(described);
    expect(fences).toHaveLength(3);
    for (const fence of fences) expect(fence).toMatch(/^pre\(ts\): *const[\s\S]*;$/);
    const sent = fences.map((fence) => fence.slice("pre(ts):".length)).join("\n");
    expect(sent).toBe(code.join("\n").replaceAll("\t", "    "));
  });

  test("inside a quotation that does not fit, each part a quotation", async () => {
    const parts = await split(`> ${[paragraph(70), paragraph(70)].join("\n>\n> ")}`);
    expect(parts.map(described)).toEqual([
      [`expandable_blockquote:${paragraph(70)}`],
      [`expandable_blockquote:${paragraph(70)}`],
    ]);
  });

  test("where the hundredth entity ends", async () => {
    const parts = await split(Array.from({ length: 250 }, (_, n) => `**b${n}**`).join(" "));
    expect(parts.map(({ entities }) => entities.length)).toEqual([100, 100, 50]);
    expect(parts.flatMap(described)).toEqual(Array.from({ length: 250 }, (_, n) => `bold:b${n}`));
  });

  test("a 10,000-character answer around a long block of code is three messages", async () => {
    const code = Array.from({ length: 260 }, (_, n) => `value[${n}] = compute(${n});`).join("\n");
    const markdown = `# Answer\n\n${paragraph(45)}\n\n\`\`\`python\n${code}\n\`\`\`\n\n${paragraph(50)}`;
    expect(markdown.length).toBeGreaterThan(9500);
    const parts = await split(markdown);
    expect(parts).toHaveLength(3);
  });

  test("plain text is cut the same way", () => {
    const text = `${paragraph(60)}\n\n**${paragraph(60)}**`;
    expect(plainParts(text)).toEqual([
      { text: paragraph(60), entities: [] },
      { text: `**${paragraph(60)}**`, entities: [] },
    ]);
  });
});

describe("Markdown that no parser should see", () => {
  const repeated = (pattern: string) => pattern.repeat(32_000 / pattern.length);
  const hostile = [
    ...[
      "> ",
      ">",
      "- ",
      "1. ",
      "[^a]: ",
      "*_",
      "a*",
      "~~a",
      "[",
      "[]",
      "[a](",
      "![",
      "`a",
      "<!-- ",
      "<",
      "&a;",
    ],
    ...[
      "a\n=\n",
      "\n- - ",
      "\n1. ",
      "\n> ",
      "a\n|",
      "|a",
      "[a]: b\n",
      "https://a.b/_",
      "\\",
      "\n\n\n> [^a]:",
    ],
    ...[
      "a&#10;",
      "***a** b* ",
      "| a |\n",
      "-\n",
      "\t",
      "\r",
      "\0",
      "[a]",
      "(a [a]: b\n",
      "www.a",
      "a@b.c",
      "```\n> ",
    ],
  ];

  test.each(hostile)("%j thousands of times costs little", async (pattern) => {
    for (const markdown of [
      repeated(pattern),
      `[${repeated(pattern)}`,
      repeated(pattern + repeated("]").slice(0, 9)),
    ]) {
      const before = process.cpuUsage();
      expectWellFormed(await renderMarkdown(markdown));
      const { user } = process.cpuUsage(before);
      expect(user / 1000).toBeLessThan(2500);
    }
  });

  test("is sent as plain text", async () => {
    const soup = repeated("**a _b");
    expect(await renderMarkdown(soup)).toEqual(plainParts(soup));
    const confetti = repeated("*a* ");
    expect(await renderMarkdown(confetti)).toEqual(plainParts(confetti));
  });

  test("a long, dense answer is not among it", async () => {
    const section = (n: number) =>
      `## Step ${n}\n\n**Do** \`this(${n})\`, *then* [that](https://x.example/${n}):\n\n- **a** \`b\` _c_\n- d\n\n` +
      `   \`\`\`c\n   int *p = &x[${n}];\n   \`\`\`\n\n| a | b |\n|---|---|\n| ${n} | **c** |\n\n`;
    const answer = Array.from({ length: 190 }, (_, n) => section(n)).join("");
    expect(answer.length).toBeGreaterThan(30_000);
    const parts = await split(answer);
    expect(parts.flatMap(({ entities }) => entities).length).toBeGreaterThan(1500);
  });
});
