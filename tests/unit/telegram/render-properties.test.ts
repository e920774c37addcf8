import { composeDocument } from "@parley/core/telegram/render/compose-document";
import { plainParts, type RenderedPart, renderMarkdown } from "@parley/core/telegram/render/index";
import { linkTarget } from "@parley/core/telegram/render/link-target";
import { parseMarkdown } from "@parley/core/telegram/render/parse-markdown";
import { splitIntoParts } from "@parley/core/telegram/render/split";
import { describe, expect, test } from "vitest";
import { knownDocuments, nastyDocuments, spoiltDocuments } from "../../support/markdown-documents.ts";
import { fc } from "../../support/property.ts";
import { expectWellFormed } from "../../support/rendered-parts.ts";

const graphemes = new Intl.Segmenter(undefined, { granularity: "grapheme" });

const documents = fc.oneof(nastyDocuments, spoiltDocuments(30));

/** What is left of a text when whitespace and invisible characters are not counted. */
function visible(text: string): string {
  return text.replace(/[\s\p{Cc}\p{Cf}\u2800\u115f\u1160\u3164\ufffc]/gu, "");
}

function textOf(parts: readonly RenderedPart[]): string {
  return parts.map(({ text }) => text).join("\n");
}

/** Every word `w0`, `w1`... of the parts in order, and the entities around it. */
function wordsIn(parts: readonly RenderedPart[]) {
  return parts.flatMap(({ text, entities }) =>
    [...text.matchAll(/w\d+/g)].map(({ 0: word, index }) => ({
      word,
      looks: entities
        .filter(({ offset, length }) => offset <= index && index + word.length <= offset + length)
        .map((entity) => {
          if (entity.type === "text_link") return `text_link(${entity.url})`;
          if (entity.type === "pre" && entity.language) return `pre(${entity.language})`;
          return entity.type.endsWith("blockquote") ? "quote" : entity.type;
        })
        .toSorted(),
    })),
  );
}

describe("whatever the model writes", () => {
  test("every word is there, once, in order, and looks as it should", async () => {
    await fc.assert(
      fc.property(knownDocuments(1000), ({ markdown, seen }) => {
        const parts = splitIntoParts(composeDocument(parseMarkdown(markdown)));
        expectWellFormed(parts);
        expect(wordsIn(parts)).toEqual(seen);
      }),
      { numRuns: 150 },
    );
  });

  test("the messages are well formed", async () => {
    await fc.assert(
      fc.asyncProperty(documents, async (markdown) => expectWellFormed(await renderMarkdown(markdown))),
      { numRuns: 500 },
    );
  });

  test("the messages say together what the document says", async () => {
    await fc.assert(
      fc.property(documents, (markdown) => {
        const styled = composeDocument(parseMarkdown(markdown.toWellFormed()));
        expect(visible(textOf(splitIntoParts(styled)))).toBe(visible(styled.text));
      }),
      { numRuns: 500 },
    );
  });

  test("plain text is sent as it is", async () => {
    await fc.assert(
      fc.property(fc.oneof(nastyDocuments, fc.string({ unit: "grapheme", maxLength: 20_000 })), (text) => {
        const parts = plainParts(text);
        expectWellFormed(parts);
        expect(parts.flatMap(({ entities }) => entities)).toEqual([]);
        expect(visible(textOf(parts))).toBe(
          visible(text.toWellFormed().replace(/\u030a|\u0333|\u033f/g, "")),
        );
      }),
      { numRuns: 300 },
    );
  });

  test("no character that a reader sees as one is cut", async () => {
    const longText = fc
      .array(fc.string({ unit: "grapheme", minLength: 1, maxLength: 30 }), { minLength: 1, maxLength: 30 })
      .map((texts) =>
        texts
          .join("")
          .repeat(40)
          .replace(/\u030a|\u0333|\u033f/g, ""),
      );
    await fc.assert(
      fc.property(longText, (text) => {
        const sent = plainParts(text).flatMap((part) => segments(part.text));
        expect(sent.filter((one) => visible(one))).toEqual(segments(text).filter((one) => visible(one)));
      }),
      { numRuns: 100 },
    );
  });

  test("a destination is a link that is safe to send, an address to read, or nothing", async () => {
    await fc.assert(
      fc.property(fc.oneof(fc.webUrl(), fc.string({ unit: "binary" })), (destination) => {
        const target = linkTarget(destination);
        if (target && "url" in target) {
          expect(target.url).toMatch(/^(https?|tg):\S+$/);
          expect(target.url.length).toBeLessThanOrEqual(2048);
        } else if (target) {
          expect(target.address).not.toMatch(/\s/);
        }
      }),
    );
  });
});

function segments(text: string): string[] {
  return [...graphemes.segment(text)].map(({ segment }) => segment);
}
