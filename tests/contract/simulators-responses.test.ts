import { type ModelSimulator, startModel } from "@parley/local/simulators/model";
import OpenAI, { type APIError } from "openai";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { clientOf, NOW, TOOLS } from "../support/simulated-chat.ts";

type Body = OpenAI.Responses.ResponseCreateParamsNonStreaming;
type Item = OpenAI.Responses.ResponseInputItem;

let model: ModelSimulator;
let client: OpenAI;
beforeAll(async () => {
  model = await startModel({ now: () => NOW });
  client = clientOf(model);
});
afterEach(() => model.reset());
afterAll(() => model.close());

const ENCRYPTED: Body["include"] = ["reasoning.encrypted_content"];
const tools = TOOLS.map(({ function: { name, parameters = {} } }) => ({
  type: "function" as const,
  name,
  parameters,
  strict: true,
}));
const create = (body: object = {}) =>
  client.responses.create({ model: "offline-model", input: "Hello", store: false, ...body } as Body);
const call = (call_id: string, more: object = {}) =>
  ({ type: "function_call", call_id, name: "get_today_date", arguments: "{}", ...more }) as Item;
const output = (call_id: string) => ({ type: "function_call_output", call_id, output: "x" }) as Item;
const user = { role: "user", content: "What day is it today?" } as Item;

describe("a response", () => {
  test("has the real shape, unique ids and usage", async () => {
    const { data, response } = await create({
      input: "What's the weather in Barcelona?",
      tools,
      include: ENCRYPTED,
    }).withResponse();
    expect(response.headers.get("x-request-id")).toMatch(/^req_/);
    expect(data).toMatchObject({
      id: expect.stringMatching(/^resp_/),
      object: "response",
      created_at: Math.floor(NOW.getTime() / 1000),
      status: "completed",
      error: null,
      incomplete_details: null,
      store: false,
      output: [
        {
          type: "reasoning",
          id: expect.stringMatching(/^rs_/),
          summary: [],
          encrypted_content: expect.stringMatching(/./),
        },
        {
          type: "function_call",
          id: expect.stringMatching(/^fc_/),
          call_id: expect.stringMatching(/^call_\w{24}$/),
          name: "get_weather",
          status: "completed",
        },
      ],
      usage: { input_tokens_details: { cached_tokens: 0 } },
    });
    expect(data.usage!.total_tokens).toBe(data.usage!.input_tokens + data.usage!.output_tokens);
    const words = await create({ reasoning: { effort: "none" } });
    expect(words.id).not.toBe(data.id);
    expect(words.output).toMatchObject([
      { type: "message", id: expect.stringMatching(/^msg_/), role: "assistant", status: "completed" },
    ]);
    expect(words.output_text).toContain("offline model");
  });

  test("that is not told otherwise would be kept, and the simulator says so", async () => {
    expect(await create()).toMatchObject({ store: false });
    expect(model.stored()).toEqual([]);
    const kept = await create({ store: undefined });
    expect(kept).toMatchObject({ store: true });
    expect(model.stored()).toEqual([kept.id]);
    model.reset();
    expect(model.stored()).toEqual([]);
  });

  test("that is too long, or filtered, is incomplete", async () => {
    expect(await create({ max_output_tokens: 16, input: "Write me an essay" })).toMatchObject({
      status: "incomplete",
      incomplete_details: { reason: "max_output_tokens" },
    });
    model.script([{ message: { content: null }, finish_reason: "content_filter" }]);
    expect(await create()).toMatchObject({
      status: "incomplete",
      incomplete_details: { reason: "content_filter" },
    });
  });

  test("shares script, titles and prompt cache with Chat Completions", async () => {
    model.script(["Scripted."]);
    const instructions = `Write a short title. ${"Be brief. ".repeat(800)}`;
    expect((await create({ instructions })).output_text).toBe("Hello");
    expect((await create()).output_text).toBe("Scripted.");
    const { usage } = await client.chat.completions.create({
      model: "offline-model",
      messages: [
        { role: "system", content: instructions },
        { role: "user", content: "Hello" },
      ],
    });
    expect(usage?.prompt_tokens_details?.cached_tokens).toBeGreaterThanOrEqual(1_024);
  });

  test("goes on from its own output, given back as it was", async () => {
    const input: Item[] = [user];
    const first = await create({ input, tools, include: ENCRYPTED });
    const made = first.output.find((item) => item.type === "function_call");
    const second = await create({
      input: [...input, ...(first.output as Item[]), output(made!.call_id)],
      tools,
      include: ENCRYPTED,
    });
    expect(second.output.map(({ type }) => type)).toEqual(["reasoning", "message"]);
  });
});

describe("requests that OpenAI refuses", () => {
  const strict = (parameters: object) => ({
    tools: [{ type: "function", name: "f", strict: true, parameters }],
  });
  test.each<[name: string, body: object, expected: object]>([
    ["no model", { model: undefined }, { param: "model", code: "missing_required_parameter" }],
    ["a model that does not exist", { model: "missing-gpt" }, { param: "model", code: "model_not_found" }],
    ["no input", { input: undefined }, { param: "input", code: "missing_required_parameter" }],
    ["empty input", { input: [] }, { param: "input", code: "empty_array" }],
    [
      "a parameter of Chat Completions",
      { messages: [] },
      { param: "messages", code: "unknown_parameter", message: "Unknown parameter: 'messages'." },
    ],
    ["its limit of tokens", { max_completion_tokens: 100 }, { code: "unknown_parameter" }],
    ["its effort", { reasoning_effort: "low" }, { code: "unknown_parameter" }],
    [
      "something to go on from that was not stored",
      { previous_response_id: "resp_1" },
      { param: "previous_response_id", code: "previous_response_not_found" },
    ],
    ["a conversation that there is not", { conversation: "conv_1" }, { param: "conversation" }],
    ["streaming", { stream: true }, { param: "stream" }],
    ["work in the background", { background: true }, { param: "background" }],
    ["too few tokens", { max_output_tokens: 15 }, { code: "integer_below_min_value" }],
    [
      "an effort that there is not",
      { reasoning: { effort: "huge" } },
      { param: "reasoning.effort", code: "invalid_value" },
    ],
    ["a long cache key", { prompt_cache_key: "x".repeat(65) }, { code: "string_above_max_length" }],
    ["a long identifier", { safety_identifier: "x".repeat(129) }, { code: "string_above_max_length" }],
    [
      "to include what there is not",
      { include: ["everything"] },
      { param: "include[0]", code: "invalid_value" },
    ],
    [
      "reasoning of a model that has none",
      { model: "gpt-4.1-mini", include: ENCRYPTED },
      { param: "include", message: "Encrypted content is not supported with this model." },
    ],
    [
      "its effort",
      { model: "gpt-4.1-mini", reasoning: { effort: "low" } },
      { param: "reasoning.effort", code: "unsupported_parameter" },
    ],
    ["a tool as Chat Completions has it", { tools: [TOOLS[0]] }, { param: "tools[0].name" }],
    [
      "duplicate tools",
      { tools: [tools[0], tools[0]] },
      { param: "tools[1].name", message: expect.stringContaining("must be unique") },
    ],
    [
      "a strict schema that is open",
      strict({ type: "object", properties: {}, required: [] }),
      { param: "tools[0].parameters", code: "invalid_function_parameters" },
    ],
    ["an item of no kind", { input: [{ type: "robot" }] }, { param: "input[0].type" }],
    ["an unknown role", { input: [{ role: "tool", content: "x" }] }, { param: "input[0].role" }],
    [
      "an assistant that speaks as a user",
      { input: [{ role: "assistant", content: [{ type: "input_text", text: "x" }] }] },
      { message: expect.stringContaining("'output_text', 'refusal'") },
    ],
    [
      "an id of another kind",
      { input: [user, call("a", { id: "call_1" }), output("a")] },
      { param: "input[1].id" },
    ],
    [
      "an output without its call",
      { input: [user, output("call_1")] },
      { message: "No tool call found for function call output with call_id call_1." },
    ],
    [
      "an output before its call",
      { input: [user, output("call_1"), call("call_1")] },
      { message: expect.stringContaining("No tool call found") },
    ],
    [
      "two outputs of one call",
      { input: [user, call("call_1"), output("call_1"), output("call_1")] },
      { message: expect.stringContaining("No tool call found") },
    ],
    [
      "a call without its output",
      { input: [user, call("call_1"), call("call_2"), output("call_1")] },
      { message: "No tool output found for function call call_2." },
    ],
    [
      "reasoning that somebody made up",
      { input: [user, { type: "reasoning", id: "rs_1", summary: [], encrypted_content: "x.y" }] },
      { code: "invalid_encrypted_content" },
    ],
  ])("%s", async (_, body, expected) => {
    const error = await create(body).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(OpenAI.BadRequestError);
    expect((error as APIError).error).toMatchObject({ type: "invalid_request_error", ...expected });
  });

  describe("reasoning", () => {
    async function given(include: Body["include"] = ENCRYPTED) {
      const { output: items } = await create({ input: [user], tools, include });
      const [reasoning, made] = items as [Item, OpenAI.Responses.ResponseFunctionToolCall];
      return { reasoning, made, result: output(made.call_id) };
    }
    const refusal = (input: Item[], more: object = {}) =>
      create({ input, tools, ...more }).then(
        () => undefined,
        (error: APIError) => error.message,
      );

    test("without what it led to, or apart from it", async () => {
      const { reasoning, made, result } = await given();
      const { id: _, ...anonymous } = made;
      const alone = /was provided without its required following item/;
      expect(await refusal([user, made, result, reasoning])).toMatch(/required/);
      expect(await refusal([user, reasoning])).toMatch(alone);
      expect(await refusal([user, reasoning, user])).toMatch(alone);
      expect(await refusal([user, reasoning, anonymous, result])).toMatch(alone);
      expect(await refusal([user, reasoning, made, result])).toBeUndefined();
    });

    test("that a call came from", async () => {
      const { reasoning, made, result } = await given();
      const lost = /of type 'function_call' was provided without its required 'reasoning' item/;
      expect(await refusal([user, made, result])).toMatch(lost);
      expect(await refusal([user, reasoning, user, made, result])).toMatch(/required/);
      const { id: _, ...anonymous } = made;
      expect(await refusal([user, anonymous, result])).toBeUndefined();
    });

    test("of another model", async () => {
      const { reasoning, made, result } = await given();
      expect(await refusal([user, reasoning, made, result], { model: "gpt-6-luna" })).toMatch(
        /could not be verified/,
      );
    });

    test("that was not handed over", async () => {
      const { reasoning, made, result } = await given([]);
      expect(await refusal([user, reasoning, made, result])).toMatch(/Items are not persisted/);
    });
  });
});
