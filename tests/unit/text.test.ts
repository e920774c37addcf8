import { shorten, truncate } from "@parley/core/text";
import { describe, expect, test } from "vitest";
import { fc } from "../support/property.ts";

const segmenter = new Intl.Segmenter(undefined, { granularity: "grapheme" });
const graphemes = (text: string) => [...segmenter.segment(text)].map(({ segment }) => segment);

/** Emoji families, flags, combining marks, CJK, Arabic, line ends: what breaks a naive cut. */
const wellFormed = fc.string({ unit: "grapheme", maxLength: 80 });
const anyText = fc.oneof(
  wellFormed,
  fc.string({ unit: "binary", maxLength: 80 }),
  // UTF-16 with lone surrogates.
  fc
    .array(fc.integer({ min: 0, max: 0xffff }), { maxLength: 80 })
    .map((units) => String.fromCharCode(...units)),
);

describe("truncate", () => {
  test("leaves alone what fits", () => {
    expect(truncate("abc", 3)).toBe("abc");
    expect(truncate("", 0)).toBe("");
  });

  test("marks the cut", () => {
    expect(truncate("x".repeat(100), 20)).toBe(`${"x".repeat(8)}\n[truncated]`);
    expect(truncate("abcdef", 4, "…")).toBe("abc…");
    expect(truncate("abcdef", 4, "")).toBe("abcd");
  });

  test("drops a character whole rather than half of it", () => {
    expect(truncate("ab😀cd", 3, "")).toBe("ab");
    expect(truncate("ab😀cd", 4, "")).toBe("ab😀");
  });

  test("gives at most so much, a beginning of the text and the mark, and breaks no character", async () => {
    await fc.assert(
      fc.property(
        anyText,
        fc.nat({ max: 60 }),
        fc.constantFrom("\n[truncated]", "…", ""),
        (text, max, mark) => {
          const cut = truncate(text, max, mark);
          expect(cut.length).toBeLessThanOrEqual(max);
          if (text.isWellFormed()) expect(cut.isWellFormed()).toBe(true);
          if (text.length <= max) {
            expect(cut).toBe(text);
            return;
          }
          const kept = cut.slice(0, Math.max(0, cut.length - mark.length));
          expect(text.startsWith(kept)).toBe(true);
          if (max >= mark.length) expect(cut).toBe(kept + mark);
        },
      ),
      { numRuns: 1_000 },
    );
  });
});

describe("shorten", () => {
  test.each([
    ["short", 10, "short"],
    ["exactly ten", 11, "exactly ten"],
    ["exactly eleven", 11, "exactly el…"],
    ["ends at a space", 8, "ends at…"],
    ["  two\n lines\t here ", 60, "two lines here"],
    ["👩‍👩‍👧‍👦👩‍👩‍👧‍👦👩‍👩‍👧‍👦", 3, "👩‍👩‍👧‍👦👩‍👩‍👧‍👦👩‍👩‍👧‍👦"],
    ["👩‍👩‍👧‍👦👩‍👩‍👧‍👦👩‍👩‍👧‍👦👩‍👩‍👧‍👦", 3, "👩‍👩‍👧‍👦👩‍👩‍👧‍👦…"],
    ["🇪🇸🇫🇷🇮🇹🇩🇪", 3, "🇪🇸🇫🇷…"],
    ["नमस्ते दुनिया", 3, "नम…"],
    ["   ", 5, ""],
  ])("%j in %i characters is %j", (text, max, expected) => {
    expect(shorten(text, max)).toBe(expected);
  });

  test("gives at most so many characters as a reader counts them, on one line, none of them broken", async () => {
    await fc.assert(
      fc.property(anyText, fc.integer({ min: 1, max: 60 }), (text, max) => {
        const short = shorten(text, max);
        const line = text.replace(/\s+/g, " ").trim();
        expect(graphemes(short).length).toBeLessThanOrEqual(max);
        expect(short).toBe(short.trim());
        if (text.isWellFormed()) expect(short.isWellFormed()).toBe(true);
        if (graphemes(line).length <= max) {
          expect(short).toBe(line);
          return;
        }
        expect(short.endsWith("…")).toBe(true);
        const kept = short.slice(0, -1);
        const whole = graphemes(line);
        const prefixes = whole.map((_, count) => whole.slice(0, count).join("").trimEnd());
        expect(prefixes).toContain(kept);
      }),
      { numRuns: 1_000 },
    );
  });

  test("is quick for the longest message", () => {
    const startedAt = performance.now();
    shorten("👩‍👩‍👧‍👦".repeat(1_500), 60);
    shorten(" ".repeat(16_384), 60);
    shorten("a ".repeat(8_192), 60);
    expect(performance.now() - startedAt).toBeLessThan(3_000);
  });
});
