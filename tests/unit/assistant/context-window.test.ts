import type { Item, Step } from "@parley/core/assistant/chat-model";
import {
  estimateItems,
  estimateTokens,
  itemsOf,
  newestThatFit,
  type PastTurn,
  weighTurn,
} from "@parley/core/assistant/context-window";
import { describe, expect, test } from "vitest";
import { fc } from "../../support/property.ts";

const text = fc.oneof(fc.string({ maxLength: 300 }), fc.string({ unit: "grapheme", maxLength: 100 }));

/** Rounds of parallel calls and their results, as a turn keeps them. */
const round = fc
  .record({
    said: fc.option(text, { nil: undefined }),
    results: fc.array(text, { minLength: 1, maxLength: 4 }),
  })
  .map(({ said, results }): ((id: string) => Step[]) => {
    return (id) => [
      ...(said === undefined ? [] : [{ type: "message", role: "assistant", content: said } as const]),
      ...results.map(
        (_, call): Step => ({ type: "tool_call", id: `${id}.${call}`, name: "tool", arguments: "{}" }),
      ),
      ...results.map((content, call): Step => ({ type: "tool_result", callId: `${id}.${call}`, content })),
    ];
  });

const pastTurn: fc.Arbitrary<PastTurn> = fc
  .record({
    message: text,
    rounds: fc.array(round, { maxLength: 3 }),
    reply: fc.option(text, { nil: undefined }),
    tokens: fc.option(fc.integer({ min: 1, max: 2_000 }), { nil: undefined }),
  })
  .map(({ message, rounds, reply, tokens }) => ({
    message,
    steps: rounds.flatMap((make, index) => make(String(index))),
    reply,
    tokens,
  }));

const weight = (turn: PastTurn) => turn.tokens ?? estimateItems(itemsOf(turn));

describe("the window", () => {
  test("holds the newest turns, whole, without a hole, as many as fit and no more", async () => {
    await fc.assert(
      fc.property(
        fc.array(pastTurn, { maxLength: 12 }),
        fc.integer({ min: -500, max: 6_000 }),
        (turns, budget) => {
          const items = newestThatFit(turns, budget);
          let kept = 0;
          let spent = 0;
          for (const turn of turns.toReversed()) {
            if (spent + weight(turn) > budget) break;
            spent += weight(turn);
            kept += 1;
          }
          if (kept > 0) expect(items).toEqual(turns.slice(-kept).flatMap(itemsOf));
          expect(spent === 0 || spent <= budget).toBe(true);
        },
      ),
      { numRuns: 500 },
    );
  });

  test("holds the words of the newest turn, cut to the budget, when not even that fits whole", async () => {
    await fc.assert(
      fc.property(
        fc.array(pastTurn, { minLength: 1, maxLength: 3 }),
        fc.integer({ min: -500, max: 3_000 }),
        (turns, budget) => {
          const newest = turns.at(-1) as PastTurn;
          fc.pre(weight(newest) > budget);
          const items = newestThatFit(turns, budget);
          expect(items.length === 0 || estimateItems(items) <= budget).toBe(true);
          const words = itemsOf({ message: newest.message, steps: [], reply: newest.reply });
          if (estimateItems(words) <= budget) expect(items).toEqual(words);
          if (budget >= 200) expect(items.map(({ type }) => type)).toEqual(words.map(() => "message"));
        },
      ),
    );
  });

  test("never parts a tool call from its result", async () => {
    await fc.assert(
      fc.property(
        fc.array(pastTurn, { maxLength: 12 }),
        fc.integer({ min: 0, max: 6_000 }),
        (turns, budget) => {
          let waiting: string[] = [];
          for (const item of newestThatFit(turns, budget)) {
            if (item.type === "tool_call") waiting.push(item.id);
            else if (item.type === "tool_result") {
              expect(waiting).toContain(item.callId);
              waiting = waiting.filter((id) => id !== item.callId);
            } else expect(waiting).toEqual([]);
          }
          expect(waiting).toEqual([]);
        },
      ),
      { numRuns: 500 },
    );
  });

  test("begins with a user's message", async () => {
    await fc.assert(
      fc.property(
        fc.array(pastTurn, { maxLength: 12 }),
        fc.integer({ min: 0, max: 6_000 }),
        (turns, budget) => {
          const [first] = newestThatFit(turns, budget);
          if (first) expect(first).toMatchObject({ type: "message", role: "user" });
        },
      ),
    );
  });

  test("a longer budget keeps what a shorter one kept", async () => {
    await fc.assert(
      fc.property(
        fc.array(pastTurn, { maxLength: 12 }),
        fc.nat({ max: 5_000 }),
        fc.nat({ max: 5_000 }),
        (turns, budget, more) => {
          const newest = turns.at(-1);
          fc.pre(newest !== undefined && weight(newest) <= budget);
          const fewer = newestThatFit(turns, budget);
          const many = newestThatFit(turns, budget + more);
          expect(many.slice(many.length - fewer.length)).toEqual(fewer);
        },
      ),
    );
  });
});

describe("the estimate", () => {
  test("grows with the text and is never far below a token for four characters", async () => {
    await fc.assert(
      fc.property(text, text, (one, other) => {
        const whole = estimateTokens(one + other);
        expect(whole).toBeGreaterThanOrEqual(estimateTokens(one));
        expect(whole).toBeLessThanOrEqual(estimateTokens(one) + estimateTokens(other));
        expect(whole).toBeGreaterThanOrEqual((one + other).length / 4);
      }),
    );
  });

  test("counts a character of Chinese or Japanese as one", () => {
    expect(estimateTokens("天気はどうですか".repeat(100))).toBe(804);
  });
});

describe("a turn's weight", () => {
  const items: Item[] = [{ type: "message", role: "user", content: "x".repeat(3_600) }];
  const turn: PastTurn = { message: "x".repeat(3_600), steps: [] };

  test("is the estimate, corrected by what the provider counted", () => {
    const estimated = estimateItems(items);
    expect(weighTurn(turn, { estimated, counted: estimated })).toBe(estimated);
    expect(weighTurn(turn, { estimated: 1_000, counted: 1_500 })).toBe(Math.ceil(estimated * 1.5));
    expect(weighTurn(turn, { estimated: 1_000, counted: 800 })).toBe(Math.ceil(estimated * 0.8));
  });

  test("is corrected within bounds, and not at all without a count", async () => {
    await fc.assert(
      fc.property(
        pastTurn,
        fc.integer({ min: 1, max: 10_000 }),
        fc.nat({ max: 100_000 }),
        (past, estimated, counted) => {
          const own = estimateItems(itemsOf(past));
          const found = weighTurn(past, { estimated, counted });
          expect(found).toBeGreaterThanOrEqual(own / 2);
          expect(found).toBeLessThanOrEqual(2 * own);
          if (counted === 0) expect(found).toBe(own);
        },
      ),
    );
  });
});
