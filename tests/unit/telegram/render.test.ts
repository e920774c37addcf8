import { renderMarkdown } from "@parley/core/telegram/render/index";
import { describe, expect, test } from "vitest";
import { described } from "../../support/rendered-parts.ts";

/** The one message of a short Markdown: its text and its entities as `type:"what they cover"`. */
async function rendered(markdown: string): Promise<{ text: string; entities: string[] }> {
  const [part, ...more] = await renderMarkdown(markdown);
  expect(more).toEqual([]);
  return part ? { text: part.text, entities: described(part) } : { text: "", entities: [] };
}

describe("inline Markdown", () => {
  test.each([
    ["**bold** and __bold__", "bold and bold", ["bold:bold", "bold:bold"]],
    ["*it* _it_", "it it", ["italic:it", "italic:it"]],
    ["~~gone~~", "gone", ["strikethrough:gone"]],
    ["10~20 and 30~40", "10~20 and 30~40", []],
    ["`a * b`", "a * b", ["code:a * b"]],
    ["`` ` ``", "`", ["code:`"]],
    ["***both***", "both", ["bold:both", "italic:both"]],
    ["**a *b* c**", "a b c", ["bold:a", "bold:b c", "italic:b"]],
    ["**a**b", "ab", ["bold:a"]],
    ["**not closed", "**not closed", []],
    ["\\*plain\\* &amp; &copy;", "*plain* & ©", []],
    ["one  \ntwo\\\nthree\nfour", "one\ntwo\nthree\nfour", []],
    ["a<br>b <b>x</b>", "a\nb <b>x</b>", []],
    ["** ** ` `", "** **", []],
  ])("%j", async (markdown, text, entities) => {
    expect(await rendered(markdown)).toEqual({ text, entities });
  });

  test("code has no other style, and inside a link it is the link", async () => {
    expect(await rendered("**a `b` c** [see `d`](https://a.example/)")).toEqual({
      text: "a b c see d",
      entities: ["bold:a", "code:b", "bold:c", "text_link(https://a.example/):see d"],
    });
  });

  test("no entity begins or ends with whitespace", async () => {
    expect(await rendered("**a**[ b ](https://a.example/)**c**")).toEqual({
      text: "a b c",
      entities: ["bold:a", "text_link(https://a.example/):b", "bold:c"],
    });
  });

  test("entities count UTF-16 units", async () => {
    const [part] = await renderMarkdown("👩‍👩‍👧 é **bold**");
    expect(part?.entities).toEqual([{ type: "bold", offset: 11, length: 4 }]);
  });
});

describe("links", () => {
  test.each([
    ["[a](https://x.example/p?q=1#f)", "a", ["text_link(https://x.example/p?q=1#f):a"]],
    ["[a](HTTP://X.example)", "a", ["text_link(http://x.example/):a"]],
    ["[a](tg://resolve?domain=b)", "a", ["text_link(tg://resolve?domain=b):a"]],
    [
      "<https://x.example/_a_>",
      "https://x.example/_a_",
      ["text_link(https://x.example/_a_):https://x.example/_a_"],
    ],
    ["[a][r]\n\n[r]: https://x.example/", "a", ["text_link(https://x.example/):a"]],
    ["[](https://x.example/)", "https://x.example/", ["text_link(https://x.example/):https://x.example/"]],
    ["![a map](https://x.example/m.png)", "a map", ["text_link(https://x.example/m.png):a map"]],
    ["![](https://x.example/m.png)", "image", ["text_link(https://x.example/m.png):image"]],
    ["[![b](https://i.example/)](https://x.example/)", "b", ["text_link(https://x.example/):b"]],
  ])("%j is a link", async (markdown, text, entities) => {
    expect(await rendered(markdown)).toEqual({ text, entities });
  });

  test.each([
    ["[a](javascript:alert(1))", "a"],
    ["[a](./README.md)", "a"],
    ["[a](#top)", "a"],
    ["[a](ftp://x.example/)", "a"],
    ["[a](<https://x.example/a b>)", "a"],
    [`[a](https://x.example/${"x".repeat(2100)})`, "a"],
    ["[a](tg://user?id=1)", "a"],
    ["[a](https://paypal.example@evil.example/)", "a"],
    ["[a][missing]", "[a][missing]"],
  ])("%j is its text", async (markdown, text) => {
    expect(await rendered(markdown)).toEqual({ text, entities: [] });
  });

  test.each([
    ["[us](mailto:a@b.example?subject=x)", "us (a@b.example)"],
    ["<a@b.example>", "a@b.example"],
    ["[call](tel:+49-30-1)", "call (+49-30-1)"],
    ["[+49-30-1](tel:+49-30-1)", "+49-30-1"],
    ["[the page](http://localhost:3000/x)", "the page (http://localhost:3000/x)"],
  ])("%j, which Telegram would refuse or mangle, shows its address", async (markdown, text) => {
    expect(await rendered(markdown)).toEqual({ text, entities: [] });
  });

  test("addresses in the text keep their underscores, and emphasis around them works", async () => {
    expect(
      await rendered("https://x.example/__init__.py _https://x.example/a_b_ **https://x.example**"),
    ).toEqual({
      text: "https://x.example/__init__.py https://x.example/a_b https://x.example",
      entities: ["italic:https://x.example/a_b", "bold:https://x.example"],
    });
  });

  test("an address repeated by reference is not repeated without end", async () => {
    const address = `https://x.example/${"a".repeat(1900)}`;
    const parts = await renderMarkdown(`[a]: ${address}\n\n${"[a] ".repeat(500)}`);
    expect(parts.flatMap(({ entities }) => entities)).toHaveLength(17);
    expect(parts.map(({ text }) => text).join(" ")).toBe("a ".repeat(500).trim());
  });
});

describe("blocks", () => {
  test("headings are bold, paragraphs apart", async () => {
    expect(await rendered("# One `x`\ntext\n\nTwo\n---\n\nmore\n\n---\nend")).toEqual({
      text: "One x\n\ntext\n\nTwo\n\nmore\n\n———\n\nend",
      entities: ["bold:One", "code:x", "bold:Two"],
    });
  });

  test("lists", async () => {
    const markdown = "- a\n  - b\n    1. c\n    2. d\n- [x] e\n- [ ] f\n\n3. g\n\n   h\n4. i";
    expect((await rendered(markdown)).text).toBe(
      "• a\n   ◦ b\n      1. c\n      2. d\n☑ e\n☐ f\n\n3. g\n\n   h\n\n4. i",
    );
  });

  test("code in a list stands at the margin", async () => {
    expect(await rendered("1. run:\n   ```sh\n     ls\n   ```\n2. ```\n   x\n   ```")).toEqual({
      text: "1. run:\n  ls\n2.\nx",
      entities: ["pre(sh):  ls", "pre:x"],
    });
  });

  test("quotations within quotations are one", async () => {
    expect(await rendered("> a **b**\n>\n> > c\n\nd")).toEqual({
      text: "a b\n\nc\n\nd",
      entities: ["blockquote:a b\n\nc", "bold:b"],
    });
  });

  test("a long quotation is folded", async () => {
    const [part] = await renderMarkdown(`> ${"word ".repeat(200)}`);
    expect(part?.entities).toEqual([{ type: "expandable_blockquote", offset: 0, length: 999 }]);
  });

  test("code keeps its indentation, its language and, as spaces, its tabs", async () => {
    expect(await rendered("```go x\n\n\tif a {\n\t\treturn\n\n```\n    indented")).toEqual({
      text: "    if a {\n        return\n\nindented",
      entities: ["pre(go):    if a {\n        return", "pre:indented"],
    });
    expect((await rendered("```<b>\nx")).entities).toEqual(["pre:x"]);
  });

  test("tables are aligned as a monospaced font shows them", async () => {
    const markdown =
      "| 都市 | °C | sky |\n|:-|-:|:-:|\n| 東京 | 21 | ☀️ |\n| e\u0301 **b** | -5 | a<br>b |\n| x |";
    expect(await rendered(markdown)).toEqual({
      text: ["都市 | °C | sky", "-----+----+----", "東京 | 21 | ☀️", "e\u0301 b  | -5 | a b", "x"].join("\n"),
      entities: [expect.stringMatching(/^pre:都市/)],
    });
  });

  test("a very wide cell does not widen the other rows", async () => {
    const wide = "x".repeat(100);
    const { text } = await rendered(`| a | b |\n|-|-|\n| ${wide} | 1 |\n| y | 2 |`);
    expect(text).toContain(`${wide} | 1\n`);
    expect(text).toContain(`y${" ".repeat(31)} | 2`);
  });

  test("links of a table follow it, once each", async () => {
    const link = "[docs](https://x.example/)";
    expect(await rendered(`| a |\n|-|\n| ${link} |\n| ${link} [o](https://y.example/) |`)).toEqual({
      text: "a\n------\ndocs\ndocs o\ndocs · o",
      entities: [
        "pre:a\n------\ndocs\ndocs o",
        "text_link(https://x.example/):docs",
        "text_link(https://y.example/):o",
      ],
    });
  });

  test("footnotes", async () => {
    expect((await rendered("Claim[^1].\n\n[^1]: Source.\n\n    More.")).text).toBe(
      "Claim[1].\n\n[1] Source.\n\nMore.",
    );
  });

  test("HTML is text, and the Markdown in it is Markdown", async () => {
    expect(await rendered("<div>\n**a** <i>b</i>\n</div>")).toEqual({
      text: "<div>\na <i>b</i>\n</div>",
      entities: ["bold:a"],
    });
  });
});

describe("hostile text", () => {
  test.each([
    "",
    " \n\t",
    "\0",
    "\u200b\ufeff",
    "&nbsp;",
    "** **",
    "```\n\n```",
    "[a]: https://x.example",
    "\u202e",
    "- \n- ",
  ])("%j: nothing but marks, or nothing", async (markdown) => {
    const parts = await renderMarkdown(markdown);
    expect(parts.map(({ text }) => text).join()).toMatch(/^(•\n•|———)?$/);
  });

  test("lone surrogates, NUL, controls and bidi overrides", async () => {
    expect(await rendered("a\ud83d **b\ude00** \0c\u0007d\u202ee\u2028f\r\ng\u200f\u200e!")).toEqual({
      text: "a\ufffd b\ufffd c de\nf\ng\u200c\u200e!",
      entities: ["bold:b\ufffd"],
    });
  });

  test("what a character reference smuggles in", async () => {
    expect((await rendered("a&#x202e;b&#13;c&#9;d&#0;")).text).toBe("abc d\ufffd");
  });

  test("4,096 emoji", async () => {
    const parts = await renderMarkdown("👍🏽".repeat(4096));
    expect(parts.map(({ text }) => text.length)).toEqual([4096, 4096, 4096, 4096]);
  });
});
