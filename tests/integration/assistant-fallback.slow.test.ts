import type { PastTurn } from "@parley/core/assistant/context-window";
import { isAppError } from "@parley/core/error";
import { Deadline } from "@parley/core/resilience/deadline";
import type { Fault } from "@parley/local/simulators/faults";
import { type ModelSimulator, startModel } from "@parley/local/simulators/model";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { type AssistantSetup, assistantOn, calling, textTool } from "../support/assistant.ts";

const FIRST = "offline-model";
const FALLBACK = "gpt-6-luna";

let model: ModelSimulator;
beforeAll(async () => {
  model = await startModel();
  // The first call loads the client: that shall not count against a short time limit.
  await assistantOn(model).reply("Hi");
  await assistantOn(model, { api: "responses" }).reply("Hi");
  model.reset();
});
afterAll(() => model.close());
afterEach(() => model.reset());

const of = (name: string) => ({ bodyIncludes: `"model":"${name}"` });
const asked = (): string[] => model.requests.map(({ body }) => JSON.parse(body).model);
const askedOf = (name: string) => asked().filter((each) => each === name).length;
const failure = (run: Promise<unknown>) =>
  run.then(
    () => {
      throw new Error("there was an answer");
    },
    (error: unknown) => error,
  );

describe.each(["chat", "responses"] as const)("by %s", (api) => {
  const on = (setup: AssistantSetup = {}) => assistantOn(model, { api, fallbackName: FALLBACK, ...setup });

  describe("the fallback answers", () => {
    test.each<[string, Fault, number]>([
      ["is gone", { status: 404, code: "model_not_found" }, 1],
      ["is overloaded", { status: 429 }, 4],
      ["is down", { status: 503 }, 4],
      ["asks for more time than there is", { status: 429, retryAfterSeconds: 60 }, 1],
      ["cannot be understood", { malformed: true }, 4],
    ])("when the first %s", async (_, fault, attempts) => {
      model.inject({ ...fault, ...of(FIRST) });
      const { reply, telemetry } = on();
      const { text, model: answered } = await reply("Hello");
      expect(text).toContain("offline model");
      expect(answered).toBe(FALLBACK);
      expect(asked()).toEqual([...Array(attempts).fill(FIRST), FALLBACK]);
      expect(telemetry.counts.filter(({ metric }) => metric === "ModelFallbacks")).toEqual([
        { metric: "ModelFallbacks", value: 1, dimensions: { model: FALLBACK } },
      ]);
      expect(telemetry.annotations).toContainEqual({
        fallback: attempts === 1 && !fault.retryAfterSeconds ? "gone" : "failing",
      });
      expect(telemetry.warnings.map(({ message }) => message)).toEqual(["the fallback model is asked"]);
    });

    test("when the first has used up the time that is its own", async () => {
      model.inject({ hang: true, ...of(FIRST) });
      const { reply, telemetry } = on({ callTimeoutMs: 60_000 });
      const startedAt = performance.now();
      const answer = await reply("Hello", { deadline: new Deadline(7_500) });
      expect(answer.model).toBe(FALLBACK);
      expect(performance.now() - startedAt).toBeGreaterThan(4_000);
      expect(telemetry.annotations).toContainEqual({ fallback: "late" });
    });

    test("for the rest of the turn, which cannot read the first one's reasoning", async () => {
      model.script([calling("echo"), calling({ name: "echo", id: "b" }), "done"]);
      // From the second round on.
      model.inject({ status: 500, bodyIncludes: '"tool_call_id"', times: 4 });
      model.inject({ status: 500, bodyIncludes: '"function_call_output"', times: 4 });
      const echo = textTool("echo", () => "x");
      const { text, model: answered } = await on({ tools: [echo] }).reply("Hello");
      expect([text, answered]).toEqual(["done", FALLBACK]);
      expect(asked()).toEqual([FIRST, FIRST, FIRST, FIRST, FIRST, FALLBACK, FALLBACK]);
    });

    test("again and again, for as long as it can", async () => {
      model.inject({ status: 404, code: "model_not_found", ...of(FIRST) });
      const { reply } = on();
      for (let nth = 0; nth < 30; nth++) expect((await reply("Hello")).model).toBe(FALLBACK);
    });
  });

  describe("the fallback is not asked", () => {
    test.each<[string, Fault]>([
      ["the key is refused", { status: 401 }],
      ["the account is empty", { status: 429, code: "insufficient_quota" }],
      ["the request is wrong", { status: 400 }],
    ])("when %s", async (_, fault) => {
      model.inject({ ...fault, ...of(FIRST) });
      await failure(on().reply("Hello"));
      expect(asked()).toEqual([FIRST]);
    });

    test("when the answer was empty", async () => {
      model.script([""]);
      expect(await failure(on().reply("Hello"))).toMatchObject({ code: "unavailable" });
      expect(asked()).toEqual([FIRST]);
    });

    test("when too little time is left: the first one has it all", async () => {
      model.inject({ hang: true, ...of(FIRST) });
      const error = await failure(on().reply("Hello", { deadline: new Deadline(400) }));
      expect(error).toMatchObject({ code: "deadline_exceeded" });
      expect(asked()).toEqual([FIRST]);
    });

    test("when the first one recovers in its retries", async () => {
      model.inject({ status: 503, times: 3, ...of(FIRST) });
      expect((await on().reply("Hello")).model).toBe(FIRST);
      expect(asked()).toEqual(Array(4).fill(FIRST));
    });
  });

  test("a fallback that does not exist names its setting, a first model without one its own", async () => {
    model.inject({ status: 429, ...of(FIRST) });
    expect(await failure(on({ fallbackName: "missing-gpt" }).reply("Hello"))).toMatchObject({
      code: "failed_precondition",
      message: 'The model "missing-gpt" does not exist or is gone: check OPENAI_FALLBACK_MODEL.',
      meta: { setting: "OPENAI_FALLBACK_MODEL" },
    });
    const alone = assistantOn(model, { api, modelName: "missing-gpt" });
    expect(await failure(alone.reply("Hello"))).toMatchObject({
      message: 'The model "missing-gpt" does not exist or is gone: check OPENAI_MODEL.',
      meta: { setting: "OPENAI_MODEL" },
    });
  });

  describe("a provider that fails every call has at most 1.1 times the load", () => {
    const CALLS = 100;
    const RESERVE = 3;

    test.each([undefined, FALLBACK])("with the fallback %s", async (fallbackName) => {
      model.inject({ status: 503 });
      const { reply, telemetry } = assistantOn(model, { api, ...(fallbackName && { fallbackName }) });
      for (let nth = 0; nth < CALLS; nth++) {
        expect(isAppError(await failure(reply("Hello")), "unavailable")).toBe(true);
      }
      // The first switch is free: that the fallback fails is not known before.
      const most = 1.1 * CALLS + (fallbackName ? 1 : 0);
      expect(model.total()).toBeLessThanOrEqual(most + RESERVE);
      expect(model.total()).toBeGreaterThan(CALLS + RESERVE);
      expect(telemetry.total("RetriesRefused")).toBeGreaterThan(CALLS / 2);
    });

    test("and the fallback is found again when it is well, though the first one is not", async () => {
      model.inject({ status: 503 });
      const { reply } = on();
      for (let nth = 0; nth < 30; nth++) await failure(reply("Hello"));
      model.reset();
      model.inject({ status: 503, ...of(FIRST) });
      let answered = 0;
      for (let nth = 0; nth < 40; nth++)
        answered += await reply("Hello").then(
          () => 1,
          () => 0,
        );
      expect(answered).toBeGreaterThan(25);
      expect(askedOf(FALLBACK)).toBe(answered);
    });
  });
});

describe.each(["chat", "responses"] as const)("too long for the model, by %s", (api) => {
  const history = Array.from(
    { length: 10 },
    (_, index): PastTurn => ({
      message: `question ${index}`,
      steps: [],
      reply: `answer ${index}`,
      // As counted by a provider that counts far less than we do: the shrinking must not rely on it.
      tokens: 1,
    }),
  );
  const tooLong = { status: 400, code: "context_length_exceeded" };
  const questions = () =>
    model.requests.map(({ body }) => [...body.matchAll(/question (\d)/g)].map(([, nth]) => Number(nth)));

  test("the older half of the past is left out, once", async () => {
    model.inject({ ...tooLong, times: 1 });
    const { reply, telemetry } = assistantOn(model, { api });
    expect((await reply("Hello", { history })).text).toContain("offline model");
    const [before, after, ...more] = questions();
    expect(before).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    expect(after).toEqual([5, 6, 7, 8, 9]);
    expect(more).toEqual([]);
    expect(telemetry.warnings).toHaveLength(1);
  });

  test("and what is still too long names the setting", async () => {
    model.inject(tooLong);
    expect(await failure(assistantOn(model, { api }).reply("Hello", { history }))).toMatchObject({
      code: "out_of_range",
      meta: { setting: "MAX_CONTEXT_TOKENS" },
    });
    expect(model.total()).toBe(2);
  });

  test("in a later round too", async () => {
    model.script([calling("echo"), "done"]);
    model.inject({
      ...tooLong,
      times: 1,
      bodyIncludes: api === "chat" ? '"tool_call_id"' : '"function_call_output"',
    });
    const echo = textTool("echo", () => "x");
    expect((await assistantOn(model, { api, tools: [echo] }).reply("Hello", { history })).text).toBe("done");
    expect(questions().map((all) => all.length)).toEqual([10, 10, 5]);
  });

  test("without a past there is nothing to leave out", async () => {
    model.inject(tooLong);
    expect(await failure(assistantOn(model, { api }).reply("Hello"))).toMatchObject({ code: "out_of_range" });
    expect(model.total()).toBe(1);
  });
});
