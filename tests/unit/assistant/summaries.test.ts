import type { ChatModel, Item, ModelRequest } from "@parley/core/assistant/chat-model";
import {
  estimateItems,
  estimateTokens,
  itemsOf,
  type PastTurn,
  pastThatFits,
  type Summary,
  summaryItem,
  weightOf,
} from "@parley/core/assistant/context-window";
import { Models } from "@parley/core/assistant/models";
import { type NumberedTurn, Summaries } from "@parley/core/assistant/summaries";
import { overBudget } from "@parley/core/budget/over-budget";
import { AppError } from "@parley/core/error";
import { Deadline } from "@parley/core/resilience/deadline";
import { describe, expect, test } from "vitest";
import { MINUTE_MS, MovableClock } from "../../support/clock.ts";
import { fc } from "../../support/property.ts";
import { RecordingTelemetry } from "../../support/telemetry.ts";

const words = fc.oneof(
  fc.string({ maxLength: 300 }),
  fc.string({ unit: "grapheme", maxLength: 100 }),
  fc.constantFrom('"\\\n'.repeat(600), "<".repeat(900), "x".repeat(9_000), "天".repeat(2_500), ""),
);
const pastTurn: fc.Arbitrary<PastTurn> = fc.record({
  message: words,
  steps: fc.constant([]),
  reply: fc.option(words, { nil: undefined }),
  tokens: fc.option(fc.integer({ min: 1, max: 2_000 }), { nil: undefined }),
});
const summary: fc.Arbitrary<Summary> = fc
  .string({ unit: "grapheme", maxLength: 600 })
  .map((text) => ({ text, upToSeq: 5, tokens: estimateItems([summaryItem({ text })]) }));

describe("a window with a summary", () => {
  test("never exceeds the budget, and ends with the newest turn", async () => {
    const unweighed = fc.array(
      pastTurn.map((turn) => ({ ...turn, tokens: undefined })),
      { maxLength: 10 },
    );
    await fc.assert(
      fc.property(unweighed, summary, fc.integer({ min: -500, max: 6_000 }), (turns, past, budget) => {
        const items = pastThatFits({ summary: past, turns }, budget);
        expect(estimateItems(items)).toBeLessThanOrEqual(Math.max(0, budget));
        const newest = turns.at(-1);
        if (newest && weightOf(newest) <= budget / 2)
          expect(items.slice(-itemsOf(newest).length)).toEqual(itemsOf(newest));
        if (past.tokens <= budget / 2) expect(items[0]).toEqual(summaryItem(past));
      }),
      { numRuns: 500 },
    );
  });

  test("has no gap when all fits: the summary, and every turn after it", async () => {
    await fc.assert(
      fc.property(
        fc.array(pastTurn, { maxLength: 8 }),
        summary,
        fc.nat({ max: 200 }),
        (turns, past, more) => {
          const all = turns.reduce((sum, turn) => sum + weightOf(turn), 0);
          const budget = Math.max(past.tokens + all, 2 * past.tokens) + more;
          expect(pastThatFits({ summary: past, turns }, budget)).toEqual([
            summaryItem(past),
            ...turns.flatMap(itemsOf),
          ]);
        },
      ),
    );
  });

  test("keeps a summary within its marks, whatever it says", async () => {
    const hostile = fc.array(
      fc.constantFrom(
        "</conversation_summary>",
        "< / Conversation_Summary",
        "<",
        "/",
        "conversation_summary>",
        "hi ",
      ),
      { maxLength: 12 },
    );
    await fc.assert(
      fc.property(hostile, (parts) => {
        const item = summaryItem({ text: parts.join("") });
        const content = item.type === "message" ? item.content : "";
        expect(item).toMatchObject({ role: "user" });
        expect(content.match(/<\s*\/?\s*conversation_summary/gi)).toHaveLength(2);
        expect(content.endsWith("\n</conversation_summary>")).toBe(true);
      }),
    );
  });
});

const LIMIT = 4_000;
const ROOM = 3_000;
const LOADED = 40;
const usage = { input: 1, output: 1, cached: 0 };

/** Summaries of a model that says `answer` and keeps what it was asked. */
function summariesOf(answer: string | (() => Promise<string>) = "- my dog is called Laika") {
  const asked: ModelRequest[] = [];
  const model: ChatModel = {
    name: "offline-model",
    async respond(request) {
      asked.push(request);
      return { text: typeof answer === "string" ? answer : await answer(), toolCalls: [], usage };
    },
  };
  const clock = new MovableClock();
  const telemetry = new RecordingTelemetry();
  const models = new Models({
    model,
    callTimeoutMs: 5_000,
    retryPolicy: { maxRetries: 3, baseMs: 1, capMs: 1 },
    telemetry,
  });
  const summaries = new Summaries({ models, room: () => ROOM, maxContextTokens: LIMIT, clock, telemetry });
  const next = (
    turns: readonly NumberedTurn[],
    past?: Summary,
    turnsAfter: (seq: number) => readonly NumberedTurn[] = () => [],
  ) =>
    summaries.next({
      platform: "api",
      summary: past,
      turns,
      loaded: LOADED,
      turnsAfter: async (seq) => turnsAfter(seq),
      spender: { owner: "tester" },
      deadline: new Deadline(5_000),
    });
  return { next, asked, clock, telemetry };
}

const turnsFrom = (from: number, count: number, tokens = 100): NumberedTurn[] =>
  Array.from({ length: count }, (_, index) => ({
    seq: from + index,
    message: `message ${from + index}`,
    steps: [],
    reply: "yes",
    tokens,
    inProgress: false,
  }));

describe("a summary is due", () => {
  test("when the window is nearly full, and leaves a quarter of it", async () => {
    const { next, asked } = summariesOf();
    expect(await next(turnsFrom(1, 22))).toBeUndefined();
    expect(asked).toHaveLength(0);
    expect(await next(turnsFrom(1, 23))).toMatchObject({ upToSeq: 16, text: "- my dog is called Laika" });
  });

  test("when so many are loaded that the next would be missed, however short they are", async () => {
    const { next } = summariesOf();
    expect(await next(turnsFrom(1, 30, 10))).toBeUndefined();
    expect(await next(turnsFrom(1, 31, 10))).toMatchObject({ upToSeq: 11 });
  });

  test("of the turns after the one before, which it takes in", async () => {
    const { next, asked } = summariesOf();
    const past = { text: "- my name is Ada", upToSeq: 16, tokens: 50 };
    expect(await next(turnsFrom(1, 38), past)).toBeUndefined();
    expect(await next(turnsFrom(1, 39), past)).toMatchObject({ upToSeq: 32 });
    const content = JSON.stringify(asked[0]?.items);
    expect(content).toContain("my name is Ada");
    expect(content).not.toContain("message 16\\");
    for (const seq of [17, 32]) expect(content).toContain(`message ${seq}\\`);
    expect(content).not.toContain("message 33\\");
  });

  test("of what was missed first, which is read for it", async () => {
    const { next } = summariesOf();
    const reads: number[] = [];
    const past = { text: "- my name is Ada", upToSeq: 10, tokens: 50 };
    const missed = (seq: number) => {
      reads.push(seq);
      return turnsFrom(11, 15);
    };
    expect(await next(turnsFrom(21, 40, 10), past, missed)).toMatchObject({ upToSeq: 20 });
    expect(reads).toEqual([10]);
  });

  test("not of a turn in progress, nor of the newest", async () => {
    const { next } = summariesOf();
    const turns = turnsFrom(1, 30);
    (turns[4] as NumberedTurn).inProgress = true;
    expect(await next(turns)).toMatchObject({ upToSeq: 4 });
    (turns[0] as NumberedTurn).inProgress = true;
    expect(await next(turns)).toBeUndefined();
    expect(await next(turnsFrom(1, 1, 9_000))).toBeUndefined();
    expect(await next(turnsFrom(1, 2, 9_000))).toMatchObject({ upToSeq: 1 });
  });
});

describe("a summary", () => {
  test("is asked for within the limit, and is bounded itself, whatever was said", async () => {
    const numbered = fc
      .array(pastTurn, { minLength: 2, maxLength: 12 })
      .map((turns) =>
        turns.map((turn, index) => ({ ...turn, tokens: 2_000, seq: index + 6, inProgress: false })),
      );
    await fc.assert(
      fc.asyncProperty(numbered, summary, words, async (turns, past, answer) => {
        fc.pre(answer.trim() !== "");
        const { next, asked } = summariesOf(answer);
        const made = await next(turns, past);
        const [request] = asked as [ModelRequest];
        const sent = estimateTokens(request.instructions) + estimateItems(request.items as Item[]);
        expect(sent).toBeLessThanOrEqual(LIMIT);
        expect(made?.tokens).toBeLessThanOrEqual(ROOM / 4);
        expect(made?.tokens).toBe(estimateItems([summaryItem({ text: made?.text as string })]));
        expect(made?.upToSeq).toBeGreaterThanOrEqual(6);
        expect(made?.upToSeq).toBeLessThan(6 + turns.length - 1);

        const [item] = request.items;
        const lines = (item?.type === "message" ? item.content : "").split("\n");
        expect([lines[0], lines.at(-1)]).toEqual(["<conversation>", "</conversation>"]);
        for (const line of lines.slice(1, -1)) {
          expect(line).not.toContain("<");
          expect(Object.keys(JSON.parse(line))).toHaveLength(1);
        }
      }),
      { numRuns: 300 },
    );
  });

  test("that fails is not asked for again within a minute", async () => {
    let failing = true;
    const { next, asked, clock, telemetry } = summariesOf(async () => {
      if (failing) throw new Error("no");
      return "- fine";
    });
    await expect(next(turnsFrom(1, 30))).rejects.toThrow("no");
    failing = false;
    expect(await next(turnsFrom(1, 31))).toBeUndefined();
    clock.advance(MINUTE_MS);
    expect(await next(turnsFrom(1, 32))).toMatchObject({ text: "- fine" });
    expect(asked).toHaveLength(2);
    expect(telemetry.total("ModelCalls")).toBe(2);
    expect(telemetry.total("ModelFailures")).toBe(1);
    expect(telemetry.steps).toEqual(["summary", "summary"]);
  });

  test("that is over somebody's budget is asked for by the next turn, which may be another's", async () => {
    const grant = { granted: false, account: 0, spent: true, resetsAt: 0, resetsInMs: 1 } as const;
    let isSpent = true;
    const { next } = summariesOf(async () => {
      if (isSpent) throw overBudget("user", grant);
      return "- fine";
    });
    await expect(next(turnsFrom(1, 30))).rejects.toMatchObject({ code: "resource_exhausted" });
    isSpent = false;
    expect(await next(turnsFrom(1, 31))).toMatchObject({ text: "- fine" });
  });

  test("that is too much for the model at once takes in fewer turns", async () => {
    const { next, asked } = summariesOf(async () => {
      if (asked.length === 1) throw new AppError("out_of_range", "too long");
      return "- fine";
    });
    const turns = turnsFrom(1, 30).map((turn) => ({ ...turn, message: "x".repeat(500) }));
    const made = await next(turns);
    expect(asked).toHaveLength(2);
    const [first = 0, second = 0] = asked.map(({ items }) => estimateItems(items as Item[]));
    expect(second).toBeLessThan(0.6 * first);
    expect(made?.upToSeq).toBeGreaterThanOrEqual(5);
    expect(made?.upToSeq).toBeLessThan(20);
  });

  test("that is empty is a failure", async () => {
    await expect(summariesOf(" \n").next(turnsFrom(1, 30))).rejects.toThrow("empty");
  });
});
