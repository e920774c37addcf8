import { setTimeout as sleep } from "node:timers/promises";
import type { Answer, Question } from "@parley/core/assistant/assistant";
import type { Usage } from "@parley/core/assistant/chat-model";
import type { Spender } from "@parley/core/budget/budgets";
import { isOverBudget } from "@parley/core/budget/over-budget";
import { costOf, priceOf } from "@parley/core/budget/prices";
import type { AppError } from "@parley/core/error";
import { Deadline } from "@parley/core/resilience/deadline";
import type { Fault } from "@parley/local/simulators/faults";
import { type ModelSimulator, startModel } from "@parley/local/simulators/model";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type AssistantSetup, assistantOn, calling, failure, textTool } from "../support/assistant.ts";
import { type BudgetSetup, budgetIn, budgetsOn, PRICE } from "../support/budgets.ts";
import { upstashSuite } from "../support/upstash-suite.ts";

const PLENTY = { tokens: 1_000_000 };
const MAX_OUTPUT = 100;
const HELD_AGAIN = { timeout: 5_000, interval: 20 };
const suite = upstashSuite("embedded");

let model: ModelSimulator;
beforeAll(async () => {
  model = await startModel({ latencyMs: 20 });
  await assistantOn(model).reply("Hi");
  model.reset();
});
afterAll(() => model.close());
afterEach(() => {
  model.reset();
  suite.gateway.fault = undefined;
});

let ada: Required<Spender>;
beforeEach(() => {
  ada = { owner: suite.key, user: { platform: "api", id: "ada" } };
});
const bob = (): Spender => ({ ...ada, user: { platform: "api", id: "bob" } });
const keyOf = (of: "user" | "key") =>
  `budget:{${encodeURIComponent(ada.owner)}}:${of === "user" ? "user:api:ada" : "key"}`;
const budgetOf = (of: "user" | "key") => budgetIn(suite.rest, keyOf(of));

/** One Lambda instance. */
function instance(setup: BudgetSetup, more: AssistantSetup = {}) {
  const { budgets, telemetry } = budgetsOn(suite.gateway, { maxOutputTokens: MAX_OUTPUT, ...setup });
  const { reply } = assistantOn(model, { budgets, maxOutputTokens: MAX_OUTPUT, ...more });
  const ask = (more: Partial<Question> = {}): Promise<Answer> => reply("Hello!", { spender: ada, ...more });
  return { ask, telemetry };
}

const tokensOf = ({ input, output }: Usage) => input + output;
const spentBy = (usage: Usage) => ({ tokens: tokensOf(usage), nanoUsd: costOf(usage, PRICE) });

describe("what is spent", () => {
  test("is what the provider counted, of every round, for the user and for the key", async () => {
    const tool = textTool("tool", () => "result");
    model.script([calling("tool"), "done"]);
    const { usage } = await instance({ limits: { user: PLENTY, key: PLENTY } }, { tools: [tool] }).ask();
    expect(model.total()).toBe(2);
    for (const of of ["user", "key"] as const) {
      expect(await budgetOf(of)).toEqual({ spent: spentBy(usage), held: { tokens: 0, nanoUsd: 0 } });
    }
  });

  test("costs of cached tokens what those cost", async () => {
    model.script([
      {
        body: {
          choices: [{ message: { content: "hello" } }],
          usage: usageOf({ input: 5_000, cached: 4_096, output: 7 }),
        },
      },
    ]);
    await instance({ limits: { key: PLENTY } }).ask();
    const nanoUsd = 904 * 1_000 + 4_096 * 100 + 7 * 8_000;
    expect((await budgetOf("key")).spent).toEqual({ tokens: 5_007, nanoUsd });
  });

  test("is our estimate where the server counts no tokens", async () => {
    model.script([
      { body: { choices: [{ message: { content: "Four words it says." } }] } },
      "The same, counted.",
    ]);
    const { ask } = instance({ limits: { key: PLENTY } });
    await ask();
    const { spent } = await budgetOf("key");
    const { usage } = await ask();
    expect(spent.tokens).toBeGreaterThan(0.8 * tokensOf(usage));
    expect(spent.tokens).toBeLessThan(1.4 * tokensOf(usage));
  });

  test("is counted by the fallback's price when that answered", async () => {
    model.inject({ status: 500, bodyIncludes: "offline-model" });
    const { ask } = instance({ limits: { key: PLENTY } }, { fallbackName: "gpt-6-luna" });
    const { usage, model: answered } = await ask();
    expect(answered).toBe("gpt-6-luna");
    const price = priceOf("gpt-6-luna");
    expect((await budgetOf("key")).spent).toEqual({
      tokens: tokensOf(usage),
      nanoUsd: price && costOf(usage, price),
    });
  });

  test("is tokens only of a model whose price nobody knows, and a line says so once", async () => {
    const { ask, telemetry } = instance({ limits: { key: { nanoUsd: 1 } }, priceOf: () => undefined });
    const [first, second] = [await ask(), await ask()];
    const tokens = tokensOf(first.usage) + tokensOf(second.usage);
    expect((await budgetOf("key")).spent).toEqual({ tokens, nanoUsd: 0 });
    expect(telemetry.warnings.map(({ message }) => message)).toEqual([
      "the model's price is not known, set MODEL_PRICE: only its tokens count",
    ]);
  });

  test.each<Fault>([
    { status: 500, times: 1 },
    { status: 429, times: 1 },
  ])("of a call that was refused by %j is nothing", async (fault) => {
    model.inject(fault);
    const { usage } = await instance({ limits: { user: PLENTY } }).ask();
    expect(model.total()).toBe(2);
    expect(await budgetOf("user")).toEqual({ spent: spentBy(usage), held: { tokens: 0, nanoUsd: 0 } });
  });

  test.each<Fault>([
    { hang: true, times: 1 },
    { cut: true, times: 1 },
    { malformed: true, times: 1 },
  ])("of a call that ended by %j is all that was reserved, for nobody knows", async (fault) => {
    model.inject(fault);
    model.script(["hello"], { repeat: true });
    const { ask } = instance({ limits: { user: PLENTY } }, { callTimeoutMs: fault.hang ? 250 : 5_000 });
    const { usage } = await ask();
    const { spent, held } = await budgetOf("user");
    expect(held.tokens).toBe(0);
    expect(spent.tokens - tokensOf(usage)).toBeGreaterThan(MAX_OUTPUT);
    // Both asked the same: what was reserved is the estimate of it, and the most that may be answered.
    expect(spent.tokens - tokensOf(usage)).toBeLessThan(MAX_OUTPUT + 2 * usage.input + 20);
  });

  test("of an answer with nothing in it is all that was reserved", async () => {
    model.script([""]);
    expect(await failure(instance({ limits: { user: PLENTY } }).ask())).toMatchObject({
      code: "unavailable",
    });
    expect((await budgetOf("user")).spent.tokens).toBeGreaterThan(MAX_OUTPUT);
  });
});

const usageOf = ({ input, cached, output }: Usage) => ({
  prompt_tokens: input,
  prompt_tokens_details: { cached_tokens: cached },
  completion_tokens: output,
  total_tokens: input + output,
});

describe("a budget that is used up", () => {
  test("of a user's refuses that user, and nobody else", async () => {
    const { ask, telemetry } = instance({ limits: { user: { tokens: 1 } } });
    await ask();
    const asked = model.total();
    const error = await failure(ask());
    const resetsAt = new Date((Math.floor(Date.now() / 86_400_000) + 1) * 86_400_000).toISOString();
    expect(error).toMatchObject({
      code: "resource_exhausted",
      message: `The daily budget of this user is used up. It starts again at ${resetsAt}.`,
      meta: { budget: "user", resets_at: resetsAt },
    });
    expect(Number(error.meta["retry_after"])).toBeCloseTo((Date.parse(resetsAt) - Date.now()) / 1_000, -1);
    expect(isOverBudget(error)).toBe(true);
    expect(model.total()).toBe(asked);
    expect(telemetry.counts).toEqual([
      { metric: "BudgetRefusals", value: 1, dimensions: { budget: "user" } },
    ]);
    expect((await ask({ spender: bob() })).text).not.toBe("");
  });

  test("of a key refuses all of its users, and those that nobody named", async () => {
    const { ask } = instance({ limits: { key: { nanoUsd: 1 } } });
    await ask({ spender: { owner: ada.owner } });
    for (const spender of [ada, bob(), { owner: ada.owner }]) {
      expect(await failure(ask({ spender }))).toMatchObject({ meta: { budget: "key" } });
    }
    expect((await ask({ spender: { owner: `${ada.owner}-other` } })).text).not.toBe("");
  });

  test("ends a turn between its rounds", async () => {
    const tool = textTool("tool", () => "result");
    model.script([calling("tool"), "done"]);
    const { ask } = instance({ limits: { user: { tokens: 1 } } }, { tools: [tool] });
    expect(await failure(ask())).toMatchObject({ code: "resource_exhausted" });
    expect(model.total()).toBe(1);
  });

  test("is passed by one reservation at the most, by 50 at once on 10 instances", async () => {
    const limit = 1_000;
    const instances = Array.from({ length: 10 }, () => instance({ limits: { user: { tokens: limit } } }));
    const turns = Array.from({ length: 50 }, (_, at) =>
      (instances[at % 10] as (typeof instances)[number]).ask({ deadline: new Deadline(15_000) }),
    );
    const settled = await Promise.allSettled(turns);
    const answered = settled.flatMap((each) =>
      each.status === "fulfilled" ? [tokensOf(each.value.usage)] : [],
    );
    const errors = settled.flatMap((each) => (each.status === "rejected" ? [each.reason as AppError] : []));
    expect(errors.every((error) => isOverBudget(error) && error.meta["resets_at"] !== undefined)).toBe(true);
    const { spent, held } = await budgetOf("user");
    expect(held).toEqual({ tokens: 0, nanoUsd: 0 });
    expect(spent.tokens).toBe(answered.reduce((sum, tokens) => sum + tokens, 0));
    expect(model.total()).toBe(answered.length);
    // It was all used, and by one call more than fits at the most.
    expect(spent.tokens).toBeGreaterThanOrEqual(limit);
    expect(spent.tokens).toBeLessThan(limit + Math.max(...answered));
  });
});

describe("a budget of which others hold the rest", () => {
  /** Enough for what a call comes to, and less than it reserves. */
  async function limit(): Promise<number> {
    return tokensOf((await assistantOn(model).reply("Hello!")).usage) + MAX_OUTPUT / 2;
  }

  test("is waited for, and serves what they leave of it", async () => {
    const { ask } = instance({ limits: { user: { tokens: await limit() } } });
    model.inject({ delayMs: 700, times: 1 });
    const first = ask();
    await expect.poll(async () => (await budgetOf("user")).held.tokens, HELD_AGAIN).toBeGreaterThan(0);
    const startedAt = performance.now();
    expect((await ask()).text).not.toBe("");
    expect(performance.now() - startedAt).toBeGreaterThan(400);
    expect((await first).text).not.toBe("");
  });

  test("is not waited for past the deadline: then it is worth another try in a moment", async () => {
    const { ask } = instance({ limits: { user: { tokens: await limit() } } });
    model.inject({ delayMs: 1_500, times: 1 });
    const first = ask();
    await expect.poll(async () => (await budgetOf("user")).held.tokens, HELD_AGAIN).toBeGreaterThan(0);
    const error = await failure(ask({ deadline: new Deadline(800) }));
    expect(error).toMatchObject({
      code: "resource_exhausted",
      meta: { budget: "user", retry_after: "2" },
    });
    expect(error.meta).not.toHaveProperty("resets_at");
    await first;
  });
});

describe("without Redis", () => {
  test("everybody is answered, and it is counted", async () => {
    suite.gateway.fault = "refuse";
    const { ask, telemetry } = instance({ limits: { user: { tokens: 1 }, key: { tokens: 1 } } });
    for (let turn = 0; turn < 2; turn++) expect((await ask()).text).not.toBe("");
    expect(telemetry.total("BudgetUnavailable")).toBe(2);
  });

  test("that lost only its answer, what the call cost is counted all the same", async () => {
    const { ask, telemetry } = instance({ limits: { user: PLENTY } });
    await ask();
    const { spent } = await budgetOf("user");
    model.inject({ delayMs: 1_200, times: 1 });
    suite.gateway.fault = "cut";
    const asked = ask();
    await expect.poll(() => model.total(), HELD_AGAIN).toBe(2);
    suite.gateway.fault = undefined;
    const { usage } = await asked;
    expect(telemetry.total("BudgetUnavailable")).toBe(1);
    expect(await budgetOf("user")).toMatchObject({
      spent: { tokens: spent.tokens + tokensOf(usage) },
      held: { tokens: 0 },
    });
  });

  test("that went during a call, the answer stands and the reservation is spent", async () => {
    model.inject({ delayMs: 300, times: 1 });
    const { ask, telemetry } = instance({ limits: { user: PLENTY } });
    const asked = ask();
    await expect.poll(async () => (await budgetOf("user")).held.tokens, HELD_AGAIN).toBeGreaterThan(0);
    suite.gateway.fault = "refuse";
    expect((await asked).text).not.toBe("");
    expect(telemetry.warnings.map(({ message }) => message)).toContain(
      "a budget keeps what was reserved of it: what was used could not be told",
    );
    suite.gateway.fault = undefined;
    await sleep(10);
    expect((await budgetOf("user")).held.tokens).toBeGreaterThan(MAX_OUTPUT);
  });
});

test("a call asks Redis twice, whatever it is counted for, and not at all where nothing has a limit", async () => {
  const { ask } = instance({ limits: { user: PLENTY, key: PLENTY } });
  // The script is loaded by the first.
  await ask();
  for (const [run, requests] of [
    [() => ask(), 2],
    [() => ask({ spender: { owner: ada.owner } }), 2],
    [() => instance({ limits: { user: PLENTY } }).ask({ spender: { owner: ada.owner } }), 0],
  ] as const) {
    const { count } = suite.gateway.requests();
    await run();
    expect(suite.gateway.requests().count - count).toBe(requests);
  }
});
