import type { Answer } from "@parley/core/assistant/assistant";
import { estimateItems, estimateTokens, itemsOf, type PastTurn } from "@parley/core/assistant/context-window";
import { prompts } from "@parley/core/assistant/prompts";
import { type ModelSimulator, startModel } from "@parley/local/simulators/model";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { type AssistantSetup, assistantOn, calling, sentTo, textTool } from "../support/assistant.ts";
import { productTools } from "../support/product-tools.ts";

let model: ModelSimulator;
beforeAll(async () => {
  model = await startModel();
});
afterAll(() => model.close());
afterEach(() => model.reset());

const echo = textTool("echo", ({ text }) => `echo ${text}`);

const tools = productTools();

const asPast = (message: string, { steps, text, tokens }: Answer): PastTurn => ({
  message,
  steps,
  reply: text,
  tokens,
});

/** A conversation; each turn is asked with all the turns before it. */
async function converse(messages: string[], setup: AssistantSetup = { tools }) {
  const assistant = assistantOn(model, setup);
  const history: PastTurn[] = [];
  const answers: Answer[] = [];
  for (const message of messages) {
    const answer = await assistant.reply(message, { history });
    answers.push(answer);
    history.push(asPast(message, answer));
  }
  return { ...assistant, history, answers };
}

describe("a request", () => {
  test("is the prompt, the past in order, and the message; each call followed by its result", async () => {
    const { answers } = await converse([
      "What's the weather in Barcelona and what time is it in Tokyo?",
      "Thanks. And the next holiday?",
      "Who are you?",
    ]);
    expect(answers[0]!.text).toContain("18 °C");
    const { messages } = sentTo(model).at(-1)!;
    expect(messages.map(({ role }) => role)).toEqual([
      ...["system", "user", "assistant", "tool", "tool", "assistant"],
      ...["user", "assistant", "tool", "assistant"],
      "user",
    ]);
    const calls = messages.flatMap(({ tool_calls = [] }) => tool_calls.map(({ id }) => id));
    expect(messages.flatMap(({ tool_call_id }) => tool_call_id ?? [])).toEqual(calls);
    expect(calls).toHaveLength(3);
  });

  test("lists the tools in the same order, byte for byte, every time", async () => {
    await converse(["What's the weather in Barcelona?", "And tomorrow?", "Hello"]);
    const offered = model.requests.map(({ body }) => JSON.stringify(JSON.parse(body).tools));
    expect(new Set(offered).size).toBe(1);
    expect(sentTo(model)[0]?.tools?.map((tool) => tool.function.name)).toEqual([
      "get_holidays",
      "get_today_date",
      "get_weather",
    ]);
  });

  test("begins as the one before it, so that the provider's prompt cache holds", async () => {
    await converse(["What's the weather in Barcelona?", "And tomorrow?"]);
    const prompts = sentTo(model).map(({ messages }) => messages.map((message) => JSON.stringify(message)));
    for (const [index, prompt] of prompts.slice(1).entries()) {
      const before = prompts[index]!;
      expect(prompt.slice(0, before.length)).toEqual(before);
    }
  });

  test.each(["api", "telegram", "cli"] as const)("from %s has that platform's prompt", async (platform) => {
    model.script(["hello"]);
    const { promptVersion } = await assistantOn(model).reply("Hi", { platform });
    expect(sentTo(model)[0]?.messages[0]).toEqual({ role: "system", content: prompts[platform].text });
    expect(promptVersion).toBe(prompts[platform].version);
  });

  test.each(["whatsapp", "", "constructor", "__proto__", "toString"])(
    "from %j has the API's",
    async (platform) => {
      model.script(["hello"]);
      expect((await assistantOn(model).reply("Hi", { platform })).promptVersion).toBe(prompts.api.version);
      expect(sentTo(model)[0]?.messages[0]?.content).toBe(prompts.api.text);
    },
  );

  test("each prompt has words and a version of its own", () => {
    const all = Object.values(prompts);
    expect(new Set(all.map(({ text }) => text)).size).toBe(all.length);
    expect(new Set(all.map(({ version }) => version)).size).toBe(all.length);
  });

  test("names the model, and the reasoning effort only when it is set", async () => {
    model.script(["hello"], { repeat: true });
    const answer = await assistantOn(model, { modelName: "gpt-6-luna" }).reply("Hi");
    await assistantOn(model, { reasoningEffort: "none" }).reply("Hi");
    expect(sentTo(model).map((request) => [request.model, request.reasoning_effort])).toEqual([
      ["gpt-6-luna", undefined],
      ["offline-model", "none"],
    ]);
    expect(answer.model).toBe("gpt-6-luna");
  });

  test("carries any text unharmed", async () => {
    const message = 'emoji 👩‍👩‍👧, "quotes", \\ and \u0000, عربى, 元日\n\ttabs';
    model.script([message]);
    expect((await assistantOn(model).reply(message)).text).toBe(message);
    expect(sentTo(model)[0]?.messages.at(-1)?.content).toBe(message);
  });

  test("repeats arguments that were no JSON in a form that every server can read", async () => {
    model.script([calling({ name: "echo", args: "{nonsense" }, { name: "echo", args: "[1]" }), "done"]);
    await assistantOn(model, { tools: [echo] }).reply("Hi");
    const calls =
      sentTo(model)
        .at(-1)
        ?.messages.flatMap(({ tool_calls = [] }) => tool_calls) ?? [];
    expect(calls.map((call) => call.function.arguments)).toEqual(["{}", "{}"]);
  });
});

describe("the context window", () => {
  const past = (index: number, tokens: number): PastTurn => ({
    message: `question ${index}`,
    steps: [],
    reply: `answer ${index}`,
    tokens,
  });

  test("holds the newest turns that fit, beside the prompt, the tools and the message", async () => {
    model.script(["hello"], { repeat: true });
    const history = Array.from({ length: 40 }, (_, index) => past(index, 100));
    const { reply, runner } = assistantOn(model, { tools, maxContextTokens: 4_000 });
    await reply("Hi", { history });
    const fixed =
      estimateTokens(prompts.api.text) +
      estimateTokens(JSON.stringify(runner.definitions)) +
      estimateItems([{ type: "message", role: "user", content: "Hi" }]);
    const kept = Math.floor((4_000 - fixed) / 100);
    expect(kept).toBeGreaterThan(20);
    const { messages } = sentTo(model)[0]!;
    expect(messages).toHaveLength(2 + 2 * kept);
    expect(messages[1]?.content).toBe(`question ${40 - kept}`);
    expect(messages.at(-2)?.content).toBe("answer 39");
  });

  test("leaves no room for the past beside a long message", async () => {
    model.script(["hello"]);
    await assistantOn(model, { tools }).reply("word ".repeat(3_200), { history: [past(1, 100)] });
    expect(sentTo(model)[0]?.messages.map(({ role }) => role)).toEqual(["system", "user"]);
  });

  test("our estimate of a request is near the provider's count, and rather above it", async () => {
    const { history, answers, runner } = await converse([
      "What's the weather in Barcelona?",
      "What time is it in Tokyo, and when is the next public holiday?",
      "Tell me something about yourself, please. What are you able to do for me today?",
      "Thank you very much for your help with all of this!",
    ]);
    const fixed = estimateTokens(prompts.api.text) + estimateTokens(JSON.stringify(runner.definitions));
    const last = answers.at(-1)!;
    const estimate =
      fixed +
      estimateItems(history.slice(0, -1).flatMap(itemsOf)) +
      estimateItems([{ type: "message", role: "user", content: history.at(-1)!.message }]);
    expect(last.steps).toEqual([]);
    expect(estimate / last.usage.input).toBeGreaterThan(0.95);
    expect(estimate / last.usage.input).toBeLessThan(1.4);
  });

  test("a turn's stored weight is what it adds to the next request", async () => {
    const { answers, history } = await converse([
      "What's the weather in Barcelona?",
      "Hello there",
      "Thanks a lot",
    ]);
    const grown = answers[2]!.usage.input - answers[1]!.usage.input;
    const weight = history[1]!.tokens!;
    expect(weight / grown).toBeGreaterThan(0.7);
    expect(weight / grown).toBeLessThan(1.6);
  });
});
