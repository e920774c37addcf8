import { readdirSync, readFileSync } from "node:fs";
import { plainParts, type RenderedPart, renderMarkdown } from "@parley/core/telegram/render/index";
import { linkTarget } from "@parley/core/telegram/render/link-target";
import { describe, expect, test } from "vitest";
import { anyDocument } from "../support/markdown-documents.ts";
import { fc } from "../support/property.ts";
import { expectAccepted, loadTdlibParser, type TdlibParser } from "../support/tdlib.ts";

const CORPUS = new URL("../fixtures/telegram-markdown/", import.meta.url);

const loaded = await loadTdlibParser();
if (typeof loaded === "string") process.stdout.write(`skipped: ${loaded}\n`);

describe.skipIf(typeof loaded === "string")("TDLib's parser of formatted texts", () => {
  const tdlib = loaded as TdlibParser;

  test.each(readdirSync(CORPUS))("takes %s as it is", async (name) => {
    const markdown = readFileSync(new URL(name, CORPUS), "utf8");
    expectAccepted(tdlib, await renderMarkdown(markdown));
    expectAccepted(tdlib, plainParts(markdown));
  });

  test("takes generated documents as they are", async () => {
    await fc.assert(
      fc.asyncProperty(anyDocument, async (markdown) => {
        expectAccepted(tdlib, await renderMarkdown(markdown));
      }),
      { numRuns: 500 },
    );
  });

  test("takes every link that is not dropped", async () => {
    await fc.assert(
      fc.property(destinations, (destination) => {
        const target = linkTarget(destination);
        if (!target || !("url" in target)) return;
        const part: RenderedPart = {
          text: "x",
          entities: [{ type: "text_link", offset: 0, length: 1, url: target.url }],
        };
        expect(() => tdlib.parse(part)).not.toThrow();
      }),
      { numRuns: 5000 },
    );
  });

  test("makes links of addresses in the text by itself", () => {
    expect(tdlib.find("see https://a.example/__init__.py, b@example.com")).toEqual([
      "Url:https://a.example/__init__.py",
      "EmailAddress:b@example.com",
    ]);
  });

  test.each([
    "tel:+123456",
    "http://localhost:3000/",
    "javascript:alert(1)",
    "https://a.b:0/",
    'http://a"b.c/',
  ])("refuses a message for a link to %s", (url) => {
    const part: RenderedPart = {
      text: "x",
      entities: [{ type: "text_link", offset: 0, length: 1, url }],
    };
    expect(() => tdlib.parse(part)).toThrow(/is invalid/);
    expect(linkTarget(url) ?? {}).not.toHaveProperty("url");
  });

  test("would send a mail address as a web page", () => {
    const link = { type: "text_link", offset: 0, length: 1 } as const;
    const part: RenderedPart = { text: "x", entities: [{ ...link, url: "mailto:a@b.co" }] };
    expect(tdlib.parse(part).entities).toEqual([{ ...link, url: "http://mailto:a@b.co/" }]);
  });

  test("refuses an entity that ends after the text", () => {
    const part: RenderedPart = { text: "text", entities: [{ type: "bold", offset: 0, length: 5 }] };
    expect(() => tdlib.parse(part)).toThrow(/ends after the end of the text/);
  });

  test("refuses an entity that cuts a surrogate pair", () => {
    const part: RenderedPart = { text: "👍👍", entities: [{ type: "bold", offset: 1, length: 2 }] };
    expect(() => tdlib.parse(part)).toThrow(/middle of a UTF-16 symbol/);
  });
});

const destinations = fc.oneof(
  fc.webUrl({
    withFragments: true,
    withQueryParameters: true,
    authoritySettings: { withPort: true, withUserInfo: true },
  }),
  fc
    .array(
      fc.constantFrom(
        "http://",
        "https:",
        "tg:",
        "//",
        "a",
        ".",
        ":",
        "@",
        "%",
        "%2",
        "[",
        "]",
        "::1",
        "?",
        "#",
        "_",
        "é",
        "。",
        "80",
        "-",
        "\\",
        "|",
        "'",
      ),
      {
        maxLength: 12,
      },
    )
    .map((fragments) => fragments.join("")),
  fc
    .tuple(fc.constantFrom("http://", "https://", "tg://", "tg:"), fc.string({ unit: "binary" }))
    .map((pair) => pair.join("")),
);
