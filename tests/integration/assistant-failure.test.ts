import { inspect } from "node:util";
import { estimateItems, itemsOf } from "@parley/core/assistant/context-window";
import type { AppError } from "@parley/core/error";
import { Deadline } from "@parley/core/resilience/deadline";
import type { Fault } from "@parley/local/simulators/faults";
import { type ModelSimulator, startModel } from "@parley/local/simulators/model";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { assistantOn, calling, failure, textTool } from "../support/assistant.ts";

let model: ModelSimulator;
beforeAll(async () => {
  model = await startModel();
  // The first call loads the client: that shall not count against a short time limit.
  await assistantOn(model).reply("Hi");
  model.reset();
});
afterAll(() => model.close());
afterEach(() => model.reset());

/** Short where it is waited for. */
const timeLimit = ({ hang }: Fault) => (hang ? 250 : 5_000);

const echo = textTool("echo", ({ text }) => `echo ${text}`);

describe("a model that stumbles", () => {
  test.each<[Fault, number]>([
    [{ status: 500, times: 2 }, 3],
    [{ status: 503, times: 3 }, 4],
    [{ status: 408, times: 1 }, 2],
    [{ status: 409, times: 1 }, 2],
    [{ status: 429, times: 1 }, 2],
    [{ malformed: true, times: 1 }, 2],
    [{ cut: true, times: 2 }, 3],
    [{ hang: true, times: 1 }, 2],
  ])("by %j is got over in %i attempts", async (fault, attempts) => {
    model.inject(fault);
    model.script(["hello"]);
    // The script's word goes to the first request that it is asked for, and a cut one asks.
    if (fault.cut) model.script(["hello"], { repeat: true });
    const { reply, telemetry } = assistantOn(model, { callTimeoutMs: timeLimit(fault) });
    expect((await reply("Hi")).text).toBe("hello");
    expect(model.total()).toBe(attempts);
    expect(telemetry.total("Retries")).toBe(attempts - 1);
    expect(telemetry.total("ModelCalls")).toBe(attempts);
    expect(telemetry.total("ModelFailures")).toBe(attempts - 1);
  });

  test("in the second round, the tools are not run again", async () => {
    let ran = 0;
    const count = textTool("count", () => {
      ran += 1;
      return String(ran);
    });
    model.script([calling("count"), "done"]);
    model.inject({ status: 500, times: 2, bodyIncludes: '"role":"tool"' });
    expect((await assistantOn(model, { tools: [count] }).reply("Hi")).text).toBe("done");
    expect(ran).toBe(1);
    expect(model.total()).toBe(4);
  });

  test("is given the time that it asks for", async () => {
    model.inject({ status: 429, retryAfterSeconds: 1, times: 1 });
    model.script(["hello"]);
    const startedAt = performance.now();
    expect((await assistantOn(model).reply("Hi")).text).toBe("hello");
    expect(performance.now() - startedAt).toBeGreaterThan(990);
  });
});

describe("a model that is down", () => {
  test.each<Fault>([{ status: 500 }, { status: 429 }, { malformed: true }, { cut: true }, { hang: true }])(
    "by %j: unavailable after four attempts",
    async (fault) => {
      model.inject(fault);
      const error = await failure(assistantOn(model, { callTimeoutMs: timeLimit(fault) }).reply("Hi"));
      expect(error).toMatchObject({
        code: "unavailable",
        message: "The model is unavailable right now. Send the message again in a moment.",
        meta: { retry_after: "2" },
      });
      expect(model.total()).toBe(4);
    },
  );

  test("for longer than there is time: at once, with its own Retry-After", async () => {
    model.inject({ status: 429, retryAfterSeconds: 60 });
    const startedAt = performance.now();
    const error = await failure(assistantOn(model).reply("Hi"));
    expect(error).toMatchObject({ code: "unavailable", meta: { retry_after: "60" } });
    expect(performance.now() - startedAt).toBeLessThan(4_000);
    expect(model.total()).toBe(1);
  });

  test("and unreachable: unavailable", async () => {
    const gone = await startModel();
    await gone.close();
    expect(await failure(assistantOn(gone).reply("Hi"))).toMatchObject({ code: "unavailable" });
  });

  test("while our own time runs out: deadline_exceeded, in time", async () => {
    model.inject({ hang: true });
    const startedAt = performance.now();
    const error = await failure(assistantOn(model).reply("Hi", { deadline: new Deadline(200) }));
    expect(error).toMatchObject({ code: "deadline_exceeded", meta: { retry_after: "1" } });
    expect(performance.now() - startedAt).toBeLessThan(4_000);
    expect(model.total()).toBe(1);
  });

  test("is not asked when no time is left", async () => {
    const error = await failure(assistantOn(model).reply("Hi", { deadline: new Deadline(0) }));
    expect(error).toMatchObject({ code: "deadline_exceeded" });
    expect(model.total()).toBe(0);
  });

  test("is not asked again when the tools took all the time", async () => {
    // A timer of the deadline's own may end a millisecond before the clock says so.
    const over = new AbortController();
    const slow = textTool("slow", () => {
      setTimeout(() => over.abort(), 50);
      return new Promise<string>(() => {});
    });
    model.script([calling("slow"), "done"]);
    const deadline = new Deadline(60_000, { signal: over.signal });
    const error = await failure(assistantOn(model, { tools: [slow] }).reply("Hi", { deadline }));
    expect(error).toMatchObject({ code: "deadline_exceeded" });
    expect(model.total()).toBe(1);
  });
});

describe("what no retry can mend is said at once", () => {
  test.each<[string, Fault, Partial<AppError> & { meta?: object }]>([
    [
      "no quota left",
      { status: 429, code: "insufficient_quota" },
      { code: "resource_exhausted", message: "The OpenAI account has no quota left: check its billing." },
    ],
    [
      "too long a conversation",
      { status: 400, code: "context_length_exceeded" },
      {
        code: "out_of_range",
        message: "The conversation is too long for the model: lower MAX_CONTEXT_TOKENS.",
        meta: { setting: "MAX_CONTEXT_TOKENS" },
      },
    ],
    [
      "a key that is refused",
      { status: 401 },
      {
        code: "failed_precondition",
        message: "The model's provider refused the key: check OPENAI_API_KEY.",
        meta: { setting: "OPENAI_API_KEY" },
      },
    ],
    [
      "a key without the right",
      { status: 403 },
      { code: "failed_precondition", meta: { setting: "OPENAI_API_KEY" } },
    ],
    [
      "a model that does not exist",
      { status: 404 },
      {
        code: "failed_precondition",
        message: 'The model "offline-model" does not exist or is gone: check OPENAI_MODEL.',
        meta: { setting: "OPENAI_MODEL" },
      },
    ],
    [
      "a request that is wrong",
      { status: 400, message: "secret detail hunter2" },
      { code: "internal", message: "The model's provider refused the request." },
    ],
    ["one that cannot be processed", { status: 422 }, { code: "internal" }],
  ])("%s", async (_, fault, expected) => {
    model.inject(fault);
    const error = await failure(assistantOn(model).reply("Hi"));
    expect(error).toMatchObject(expected);
    expect(inspect([error.message, error.meta])).not.toContain("hunter2");
    expect(model.total()).toBe(1);
  });

  test("by the provider itself too: key and model", async () => {
    expect(await failure(assistantOn(model, { apiKey: "bad-hunter2" }).reply("Hi"))).toMatchObject({
      meta: { setting: "OPENAI_API_KEY" },
    });
    expect(await failure(assistantOn(model, { modelName: "missing-gpt" }).reply("Hi"))).toMatchObject({
      message: 'The model "missing-gpt" does not exist or is gone: check OPENAI_MODEL.',
    });
  });
});

describe("a model that answers nonsense", () => {
  const EMPTY = {
    code: "unavailable",
    message: "The model gave an empty answer. Send the message again.",
    meta: { retry_after: "1" },
  };
  const message = (content: unknown, more: object = {}) => ({
    body: {
      id: "1",
      choices: [{ index: 0, message: { role: "assistant", content, ...more }, finish_reason: "stop" }],
    },
  });

  test.each<[string, { body: unknown }]>([
    ["no choices", { body: { id: "1", choices: [] } }],
    ["nothing", { body: {} }],
    ["no content", message(null)],
    ["blank content", message(" \n")],
    ["no message", { body: { choices: [{}] } }],
    ["no calls", message(null, { tool_calls: [] })],
    [
      "calls of another kind",
      message(null, { tool_calls: [{ id: "1", type: "custom", custom: { name: "x" } }] }),
    ],
    ["text that is no JSON object", { body: "hello" }],
  ])("%s: an empty answer", async (_, response) => {
    model.script([response], { repeat: true });
    expect(await failure(assistantOn(model).reply("Hi"))).toMatchObject(EMPTY);
  });

  test.each<[string, { body: unknown }]>([
    ["null", { body: null }],
    ["content that is a number", message(7)],
    ["content that is a list", message([{ type: "text", text: "x" }])],
    ["calls that are text", message(null, { tool_calls: "get_weather" })],
    ["a call of nothing", message(null, { tool_calls: [{ id: "1", type: "function" }] })],
    ["a call without a name", message(null, { tool_calls: [{ id: "1", type: "function", function: {} }] })],
    ["calls that are null", message(null, { tool_calls: [null] })],
  ])("%s: unavailable, after retries", async (_, response) => {
    model.script([response], { repeat: true });
    expect(await failure(assistantOn(model, { tools: [echo] }).reply("Hi"))).toMatchObject({
      code: "unavailable",
    });
    expect(model.total()).toBe(4);
  });

  test("arguments that are an object are taken as such", async () => {
    const call = { id: "1", type: "function", function: { name: "echo", arguments: { text: "x" } } };
    model.script([message(null, { tool_calls: [call] }), "done"]);
    const { steps } = await assistantOn(model, { tools: [echo] }).reply("Hi");
    expect(steps.at(-1)).toMatchObject({ content: "echo x" });
  });

  test("a refusal is an answer in the model's words", async () => {
    model.script([message(null, { refusal: "I can't help with that." })]);
    expect((await assistantOn(model).reply("Hi")).text).toBe("I can't help with that.");
  });

  test("an answer without usage counts as nothing used", async () => {
    model.script([message("hello")]);
    const { usage, tokens } = await assistantOn(model).reply("Hi");
    expect(usage).toEqual({ input: 0, output: 0, cached: 0 });
    expect(tokens).toBe(estimateItems(itemsOf({ message: "Hi", steps: [], reply: "hello" })));
  });

  test("an answer that was cut for its length is given as far as it goes", async () => {
    model.script([{ message: { role: "assistant", content: "Once upon a" }, finish_reason: "length" }]);
    expect((await assistantOn(model).reply("Hi")).text).toBe("Once upon a");
  });
});
