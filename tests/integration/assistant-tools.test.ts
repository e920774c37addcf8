import { setTimeout as sleep } from "node:timers/promises";
import { inspect } from "node:util";
import { AppError } from "@parley/core/error";
import { Deadline } from "@parley/core/resilience/deadline";
import * as z from "@parley/core/schema";
import { defineTool, type Tool } from "@parley/core/tools/tool";
import { type ModelSimulator, startModel } from "@parley/local/simulators/model";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { type AssistantSetup, assistantOn, calling, sentTo, textTool } from "../support/assistant.ts";

let model: ModelSimulator;
beforeAll(async () => {
  model = await startModel();
});
afterAll(() => model.close());
afterEach(() => model.reset());

const echo = textTool("echo", ({ text }) => `echo ${text}`);

/** What the model was told of the calls of its last round, in order. */
function toldLast(): string[] {
  const messages = sentTo(model).at(-1)?.messages ?? [];
  const asked = messages.findLastIndex(({ role }) => role === "assistant");
  return messages.slice(asked + 1).map(({ content }) => content ?? "");
}

/** The model calls what the test says and then answers "done". */
async function afterCalls(round: ReturnType<typeof calling>, setup: AssistantSetup) {
  model.script([round, "done"]);
  const assistant = assistantOn(model, setup);
  const answer = await assistant.reply("a question");
  expect(answer.text).toBe("done");
  return { ...assistant, answer, told: toldLast() };
}

describe("tools of one round", () => {
  test("run in parallel, their results in the order of the calls", async () => {
    let running = 0;
    const together = Promise.withResolvers<void>();
    const meet = textTool("meet", async ({ text }) => {
      running += 1;
      if (running === 3) together.resolve();
      await together.promise;
      // The first to be called is the last to answer.
      await sleep(text === "a" ? 60 : text === "b" ? 30 : 0);
      return `met ${text}`;
    });
    const round = calling(
      ...["a", "b", "c"].map((text, index) => ({ name: "meet", args: { text }, id: `id_${index}` })),
    );
    const { told, answer } = await afterCalls(round, { tools: [meet], toolTimeoutMs: 2_000 });
    expect(told).toEqual(["met a", "met b", "met c"]);
    expect(
      answer.steps.map((step) =>
        step.type === "tool_call" ? step.id : step.type === "tool_result" ? step.callId : "",
      ),
    ).toEqual(["id_0", "id_1", "id_2", "id_0", "id_1", "id_2"]);
  });

  test("are eight at the most; the rest are told so", async () => {
    let ran = 0;
    const count = textTool("count", () => {
      ran += 1;
      return String(ran);
    });
    const round = calling(
      ...Array.from({ length: 12 }, (_, index) => ({ name: "count", id: `id_${index}` })),
    );
    const { told } = await afterCalls(round, { tools: [count] });
    expect(ran).toBe(8);
    expect(told.slice(0, 8)).toEqual(["1", "2", "3", "4", "5", "6", "7", "8"]);
    expect(told.slice(8)).toEqual(Array(4).fill("Error: only 8 tools are run at once; call this one again."));
  });

  test("may come with words of the model", async () => {
    const round = calling({ name: "echo", args: { text: "x" } });
    round.message["content"] = "Let me look.";
    const { answer } = await afterCalls(round, { tools: [echo] });
    expect(answer.steps.map(({ type }) => type)).toEqual(["message", "tool_call", "tool_result"]);
    const { messages } = sentTo(model).at(-1)!;
    expect(messages.slice(-2)).toMatchObject([
      { role: "assistant", content: "Let me look.", tool_calls: [{ function: { name: "echo" } }] },
      { role: "tool", content: "echo x" },
    ]);
  });

  test("may bear no ids, or the same one twice", async () => {
    for (const id of ["", "same"]) {
      const round = calling(
        { name: "echo", args: { text: "a" }, id },
        { name: "echo", args: { text: "b" }, id },
      );
      const { told } = await afterCalls(round, { tools: [echo] });
      expect(told).toEqual(["echo a", "echo b"]);
    }
  });
});

describe("what goes wrong is told to the model", () => {
  test.each<[string, { name: string; args?: unknown }, string | RegExp]>([
    [
      "an unknown tool",
      { name: "nope" },
      'Error: There is no tool "nope". The tools are: boom, echo, refuse.',
    ],
    [
      "a name that no tool may have",
      { name: "functions.get weather" },
      /^Error: There is no tool "functions_get_weather"/,
    ],
    ["no name", { name: "" }, /^Error: There is no tool "_"/],
    ["a tool that objects have", { name: "constructor" }, /^Error: There is no tool "constructor"/],
    [
      "arguments that are no JSON",
      { name: "echo", args: '{"text":' },
      "Error: The arguments of echo are not valid JSON.",
    ],
    [
      "a wrong type",
      { name: "echo", args: { text: 7 } },
      /^Error: Wrong arguments for echo: .*expected string.*\n.*at text/s,
    ],
    ["a missing argument", { name: "echo", args: {} }, /^Error: Wrong arguments for echo: .*text/s],
    ["arguments that are no object", { name: "echo", args: "[1]" }, /^Error: Wrong arguments for echo: /],
    ["arguments that are null", { name: "echo", args: "null" }, /^Error: Wrong arguments for echo: /],
    ["no arguments at all", { name: "echo", args: "" }, /^Error: Wrong arguments for echo: /],
    ["a bug in a tool", { name: "boom" }, "Error: The tool boom failed."],
    ["a tool's own error", { name: "refuse" }, "Error: Not on a Sunday."],
  ])("%s", async (_, call, expected) => {
    const tools = [
      textTool("boom", () => {
        throw new TypeError("password=hunter2");
      }),
      echo,
      textTool("refuse", () => Promise.reject(new AppError("unavailable", "Not on a Sunday."))),
    ];
    const { told, telemetry } = await afterCalls(calling(call), { tools });
    expect(told).toHaveLength(1);
    if (typeof expected === "string") expect(told[0]).toBe(expected);
    else expect(told[0]).toMatch(expected);
    expect(telemetry.total("ToolFailures")).toBe(1);
  });

  test("a bug's cause is in the log and nowhere else", async () => {
    for (const thrown of [new Error("password=hunter2"), "hunter2", null]) {
      const boom = textTool("boom", () => Promise.reject(thrown));
      const { telemetry, told } = await afterCalls(calling("boom"), { tools: [boom] });
      expect(told).toEqual(["Error: The tool boom failed."]);
      expect(telemetry.warnings).toMatchObject([
        { message: "a tool failed", fields: { tool: "boom", error: thrown } },
      ]);
    }
    expect(inspect(sentTo(model), { depth: 9 })).not.toContain("hunter2");
  });

  test("one that fails does not keep the others from answering", async () => {
    const boom = textTool("boom", () => {
      throw new Error("no");
    });
    const { told } = await afterCalls(calling("boom", { name: "echo", args: { text: "x" } }, "nope"), {
      tools: [boom, echo],
    });
    expect(told).toEqual(["Error: The tool boom failed.", "echo x", expect.stringContaining("no tool")]);
  });

  test("a tool that answers with nothing to read is a bug too", async () => {
    const broken = textTool("broken", () => undefined as unknown as string);
    const { told } = await afterCalls(calling("broken"), { tools: [broken] });
    expect(told).toEqual(["Error: The tool broken failed."]);
  });
});

describe("a tool's time", () => {
  test("ends for one that heeds its deadline", async () => {
    let aborted = false;
    const slow = textTool("slow", async (_, { deadline }) => {
      await sleep(10_000, undefined, { signal: deadline.signal }).catch((error: unknown) => {
        aborted = true;
        throw error;
      });
      return "late";
    });
    const startedAt = performance.now();
    const { told } = await afterCalls(calling("slow", { name: "echo", args: { text: "x" } }), {
      tools: [slow, echo],
      toolTimeoutMs: 80,
    });
    expect(told).toEqual(["Error: The tool slow took too long.", "echo x"]);
    expect(performance.now() - startedAt).toBeLessThan(4_000);
    expect(aborted).toBe(true);
  });

  test("ends for one that does not", async () => {
    const deaf = textTool("deaf", () => new Promise<string>(() => {}));
    const { told } = await afterCalls(calling("deaf"), { tools: [deaf], toolTimeoutMs: 80 });
    expect(told).toEqual(["Error: The tool deaf took too long."]);
  });

  test("that fails after it is over bothers nobody", async () => {
    const late = textTool("late", async () => {
      await sleep(120);
      throw new Error("much too late");
    });
    const { told, telemetry } = await afterCalls(calling("late"), { tools: [late], toolTimeoutMs: 40 });
    expect(told).toEqual(["Error: The tool late took too long."]);
    await sleep(120);
    expect(telemetry.warnings).toEqual([]);
  });

  test("never begins when none is left", async () => {
    let begun = false;
    const tool = textTool("tool", () => {
      begun = true;
      return "";
    });
    const { runner } = assistantOn(model, { tools: [tool] });
    const call = { type: "tool_call", id: "1", name: "tool", arguments: '{"text":null}' } as const;
    const over = new AbortController();
    over.abort();
    const result = await runner.run(call, new Deadline(1_000, { signal: over.signal }));
    expect(result.content).toMatch(/^Error: /);
    expect(begun).toBe(false);
  });
});

describe("rounds", () => {
  test("are eight; then the model must use words", async () => {
    model.script([(request) => (request.mayCallTools ? calling("echo") : "at last")], { repeat: true });
    const { reply, telemetry } = assistantOn(model, { tools: [echo] });
    const answer = await reply("a question");
    expect(answer.text).toBe("at last");
    expect(sentTo(model).map(({ tool_choice }) => tool_choice)).toEqual([...Array(8).fill("auto"), "none"]);
    expect(answer.steps.filter(({ type }) => type === "tool_result")).toHaveLength(8);
    expect(telemetry.total("ToolCalls")).toBe(8);
    expect(telemetry.total("ModelCalls")).toBe(9);
  });

  test("a model that never does gives no answer, and no ninth tool runs", async () => {
    model.script([calling("echo")], { repeat: true });
    const { reply, telemetry } = assistantOn(model, { tools: [echo] });
    await expect(reply("a question")).rejects.toMatchObject({
      code: "unavailable",
      message: "The model kept calling tools and gave no answer. Put the question another way.",
      meta: { rounds: "8" },
    });
    expect(model.total()).toBe(9);
    expect(telemetry.total("ToolCalls")).toBe(8);
  });

  test("add up what they used", async () => {
    model.script([calling("echo"), calling("echo"), "done"]);
    const { reply, telemetry } = assistantOn(model, { tools: [echo] });
    const { usage } = await reply("a question");
    expect(telemetry.total("ModelInputTokens")).toBe(usage.input);
    expect(telemetry.total("ModelOutputTokens")).toBe(usage.output);
    expect(usage.input).toBeGreaterThan(3 * 100);
  });
});

describe("sizes", () => {
  const sizeOf = (value: unknown) => Buffer.byteLength(JSON.stringify(value));
  /** What one turn may hold of DynamoDB's 400 KB besides message and reply. */
  const MAX_STEPS_BYTES = 220_000;

  test("a long result is cut, with a mark", async () => {
    const long = textTool("long", () => "x".repeat(100_000));
    const { told, answer } = await afterCalls(calling("long"), { tools: [long] });
    expect(told[0]).toHaveLength(4_000);
    expect(told[0]).toMatch(/^x+\n\[truncated\]$/);
    expect(answer.steps.at(-1)).toMatchObject({ content: told[0] });
  });

  test("a long error is cut too", async () => {
    const { told } = await afterCalls(calling({ name: "n".repeat(9_000) }), { tools: [echo] });
    expect(told[0]!.length).toBeLessThanOrEqual(4_000);
  });

  test.each<[string, Tool, ReturnType<typeof calling>]>([
    [
      "results",
      textTool("big", () => "天気".repeat(4_000)),
      calling(...Array.from({ length: 8 }, (_, index) => ({ name: "big", id: `id_${index}` }))),
    ],
    [
      "arguments",
      echo,
      calling(
        ...Array.from({ length: 8 }, (_, index) => ({
          name: "echo",
          args: { text: "天".repeat(50_000) },
          id: `id_${index}`,
        })),
      ),
    ],
    [
      "calls",
      echo,
      calling(...Array.from({ length: 2_000 }, (_, index) => ({ name: "echo", id: `id_${index}` }))),
    ],
    ["names", echo, calling(...Array.from({ length: 8 }, () => ({ name: "n".repeat(60_000) })))],
    [
      "ids",
      echo,
      calling(...Array.from({ length: 8 }, (_, index) => ({ name: "echo", id: `${index}`.repeat(60_000) }))),
    ],
  ])("a model that overdoes its %s still leaves a turn that can be stored", async (_, tool, round) => {
    model.script([(request) => (request.mayCallTools ? round : "x".repeat(100_000))], { repeat: true });
    const { steps, text } = await assistantOn(model, { tools: [tool] }).reply("a question");
    expect(sizeOf(steps)).toBeLessThan(MAX_STEPS_BYTES);
    expect(text.length).toBeLessThanOrEqual(32_000);
    expect(text.endsWith("[truncated]")).toBe(true);
    const calls = steps.flatMap((step) => (step.type === "tool_call" ? [step.id] : []));
    const results = steps.flatMap((step) => (step.type === "tool_result" ? [step.callId] : []));
    expect(calls).toEqual(results);
  });
});

describe("what the model sees of the tools", () => {
  const nested = defineTool({
    name: "nested",
    description: "nested",
    parameters: z.object({
      maxLength: z.nullable(z.int().check(z.minimum(1))),
      where: z.nullable(
        z.object({ city: z.string().check(z.minLength(1), z.maxLength(9)), zip: z.nullable(z.string()) }),
      ),
      tags: z.array(z.object({ name: z.enum(["a", "b"]) })),
    }),
    execute: (args) => JSON.stringify(args),
  });

  test("every schema is a strict one, whatever its shape", async () => {
    const args = { maxLength: 3, where: { city: "Rome", zip: null }, tags: [{ name: "a" }] };
    const { told } = await afterCalls(calling({ name: "nested", args }), { tools: [nested] });
    expect(JSON.parse(told[0]!)).toEqual(args);
    const [offered] = JSON.parse(model.requests[0]!.body).tools;
    expect(offered.function.strict).toBe(true);
    expect(offered.function.parameters).toMatchObject({
      required: ["maxLength", "where", "tags"],
      additionalProperties: false,
      properties: { maxLength: { anyOf: [{ type: "integer" }, { type: "null" }] } },
    });
    expect(JSON.stringify(offered)).not.toContain('"maxLength":9');
  });

  test("limits that a strict schema cannot tell are checked all the same", async () => {
    const args = { maxLength: null, where: { city: "Constantinople", zip: null }, tags: [] };
    const { told } = await afterCalls(calling({ name: "nested", args }), { tools: [nested] });
    expect(told[0]).toMatch(/^Error: Wrong arguments for nested: .*where\.city/s);
  });

  test("no tools, no word of tools", async () => {
    model.script(["hello"]);
    await assistantOn(model, { tools: [] }).reply("a question");
    expect(sentTo(model)[0]).not.toHaveProperty("tools");
    expect(sentTo(model)[0]).not.toHaveProperty("tool_choice");
  });
});
