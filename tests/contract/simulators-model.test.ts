import type { Fault } from "@parley/local/simulators/faults";
import { type ModelSimulator, startModel } from "@parley/local/simulators/model";
import OpenAI, { type APIError } from "openai";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { fc } from "../support/property.ts";
import { clientOf, NOW, openChat, TOOLS } from "../support/simulated-chat.ts";

type Body = OpenAI.ChatCompletionCreateParamsNonStreaming;

let model: ModelSimulator;
let client: OpenAI;
beforeAll(async () => {
  model = await startModel({ now: () => NOW });
  client = clientOf(model);
});
afterEach(() => model.reset());
afterAll(() => model.close());

const user = (content: string) => ({ role: "user" as const, content });
const create = (body: Partial<Body> = {}) =>
  client.chat.completions.create({ model: "offline-model", messages: [user("Hello")], ...body } as Body);

const calling = (...ids: string[]) => ({
  role: "assistant" as const,
  content: null,
  tool_calls: ids.map((id) => ({
    id,
    type: "function" as const,
    function: { name: "get_today_date", arguments: "{}" },
  })),
});
const result = (tool_call_id: string) => ({ role: "tool" as const, tool_call_id, content: "x" });
const strict = (parameters: Record<string, unknown>) => [
  { type: "function" as const, function: { name: "f", strict: true, parameters } },
];

describe("a completion", () => {
  test("has the real shape, unique ids and usage", async () => {
    const { data, response } = await client.chat.completions
      .create({ model: "gpt-6-luna", messages: [user("What's the weather in Barcelona?")], tools: TOOLS })
      .withResponse();
    expect(response.headers.get("x-request-id")).toMatch(/^req_/);
    expect(data).toMatchObject({
      id: expect.stringMatching(/^chatcmpl-/),
      object: "chat.completion",
      created: Math.floor(NOW.getTime() / 1000),
      model: "gpt-6-luna",
      choices: [
        {
          index: 0,
          finish_reason: "tool_calls",
          message: {
            role: "assistant",
            content: null,
            tool_calls: [
              {
                id: expect.stringMatching(/^call_\w{24}$/),
                type: "function",
                function: { name: "get_weather" },
              },
            ],
          },
        },
      ],
      usage: { prompt_tokens_details: { cached_tokens: 0 } },
    });
    expect(data.usage!.total_tokens).toBe(data.usage!.prompt_tokens + data.usage!.completion_tokens);
    const other = await create();
    expect(other.id).not.toBe(data.id);
    expect(other.choices[0]).toMatchObject({ finish_reason: "stop", message: { refusal: null } });
  });

  test("a repeated prefix of 1,024 tokens or more counts as cached, in steps of 128", async () => {
    const messages: Body["messages"] = [{ role: "system", content: "Be brief. ".repeat(800) }, user("Hello")];
    const first = await create({ messages });
    const reply = { role: "assistant" as const, content: first.choices[0]!.message.content };
    const second = await create({ messages: [...messages, reply, user("And now?")] });
    expect(first.usage!.prompt_tokens_details!.cached_tokens).toBe(0);
    const cached = second.usage!.prompt_tokens_details!.cached_tokens!;
    expect(cached % 128).toBe(0);
    expect(cached).toBeGreaterThanOrEqual(1_024);
    expect(cached).toBeLessThanOrEqual(first.usage!.prompt_tokens);

    const below = { messages: [user("Hello ".repeat(600))] };
    const short = [await create(below), await create(below)].map(
      ({ usage }) => usage!.prompt_tokens_details!.cached_tokens,
    );
    expect(short).toEqual([0, 0]);
  });

  test("max_completion_tokens cuts it short and says so", async () => {
    const { choices, usage } = await create({ max_completion_tokens: 5 });
    expect(choices[0]).toMatchObject({ finish_reason: "length" });
    expect(usage!.completion_tokens).toBeLessThanOrEqual(5);
  });

  test("system text as developer role or parts, and text in parts, are read", async () => {
    const messages: Body["messages"] = [
      { role: "developer", content: [{ type: "text", text: "Be kind." }] },
      {
        role: "user",
        content: [
          { type: "text", text: "my name is" },
          { type: "text", text: "Ada" },
        ],
      },
    ];
    expect((await create({ messages })).choices[0]!.message.content).toContain("I am the offline model");
  });

  test("tool_choice none never calls", async () => {
    const { choices } = await create({
      messages: [user("Weather in Oslo?")],
      tools: TOOLS,
      tool_choice: "none",
    });
    expect(choices[0]!.message.tool_calls).toBeUndefined();
  });

  test("models are listed and described", async () => {
    const ids = [];
    for await (const { id } of client.models.list()) ids.push(id);
    expect(ids).toContain("offline-model");
    expect(await client.models.retrieve("offline-model")).toMatchObject({
      id: "offline-model",
      object: "model",
    });
    await expect(client.models.retrieve("missing-model")).rejects.toMatchObject({
      status: 404,
      code: "model_not_found",
    });
  });
});

describe("requests that OpenAI refuses", () => {
  const refused: [name: string, body: object, expected: object][] = [
    [
      "no messages",
      { messages: undefined },
      { param: "messages", code: "missing_required_parameter", type: "invalid_request_error" },
    ],
    ["empty messages", { messages: [] }, { param: "messages", code: "empty_array" }],
    ["no model", { model: undefined }, { message: expect.stringContaining("must provide a model") }],
    [
      "an unknown role",
      { messages: [{ role: "robot", content: "x" }] },
      { param: "messages[0].role", code: "invalid_value" },
    ],
    ["null content", { messages: [{ role: "user", content: null }] }, { param: "messages[0].content" }],
    [
      "content of a wrong type",
      { messages: [{ role: "user", content: 7 }] },
      { param: "messages[0].content", code: "invalid_type" },
    ],
    ["an orphaned tool message", { messages: [user("x"), result("call_1")] }, { param: "messages.[1].role" }],
    [
      "a tool message for another call",
      { messages: [user("x"), calling("call_1"), result("call_2")] },
      { param: "messages.[2].role" },
    ],
    [
      "two results for one call",
      { messages: [user("x"), calling("call_1"), result("call_1"), result("call_1")] },
      { param: "messages.[3].role" },
    ],
    [
      "a call without its result",
      { messages: [user("x"), calling("call_1", "call_2"), result("call_1"), user("y")] },
      { message: expect.stringMatching(/did not have response messages: call_2$/) },
    ],
    [
      "a call at the end",
      { messages: [user("x"), calling("call_1")] },
      { message: expect.stringContaining("call_1") },
    ],
    ["empty tools", { tools: [] }, { param: "tools", code: "empty_array" }],
    [
      "duplicate tools",
      { tools: [TOOLS[0], TOOLS[0]] },
      { message: expect.stringContaining("'get_holidays' must be unique") },
    ],
    [
      "a bad tool name",
      { tools: [{ type: "function", function: { name: "get weather", parameters: {} } }] },
      { param: "tools[0].function.name" },
    ],
    [
      "a strict schema that is open",
      { tools: strict({ type: "object", properties: {}, required: [] }) },
      {
        code: "invalid_function_parameters",
        message: expect.stringContaining("'additionalProperties' is required"),
      },
    ],
    [
      "a strict schema with an optional field",
      {
        tools: strict({
          type: "object",
          properties: { a: {}, b: {} },
          required: ["a"],
          additionalProperties: false,
        }),
      },
      { code: "invalid_function_parameters", message: expect.stringContaining("Missing 'b'") },
    ],
    [
      "a strict schema with a keyword it does not take",
      {
        tools: strict({
          type: "object",
          properties: { a: { type: "string", minLength: 1 } },
          required: ["a"],
          additionalProperties: false,
        }),
      },
      { message: expect.stringContaining("In context=('properties', 'a'), 'minLength' is not permitted.") },
    ],
    [
      "a strict schema that is open deep inside",
      {
        tools: strict({
          type: "object",
          properties: {
            list: { type: "array", items: { anyOf: [{ type: "object", properties: { a: {} } }] } },
          },
          required: ["list"],
          additionalProperties: false,
        }),
      },
      { message: expect.stringContaining("In context=('properties', 'list', 'items', 'anyOf', '0')") },
    ],
    ["a tool choice without tools", { tool_choice: "auto" }, { param: "tool_choice" }],
    ["streaming", { stream: true }, { param: "stream", message: "The simulated model does not stream." }],
    [
      "max_tokens for a model of today",
      { model: "gpt-6-luna", max_tokens: 9 },
      { code: "unsupported_parameter" },
    ],
    ["no tokens at all", { max_completion_tokens: 0 }, { code: "integer_below_min_value" }],
  ];

  test.each(refused)("%s", async (_, body, expected) => {
    const error = await create(body).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(OpenAI.BadRequestError);
    expect((error as APIError).error).toEqual(
      expect.objectContaining({ message: expect.any(String), type: "invalid_request_error", ...expected }),
    );
  });

  test("a complete exchange of tool messages is accepted in any order", async () => {
    const messages = [user("x"), calling("a", "b"), result("b"), result("a"), user("y")];
    expect((await create({ messages })).choices).toHaveLength(1);
  });

  test("a body that is not JSON, a path that is not there", async () => {
    const headers = { authorization: "Bearer sk-test" };
    const broken = await fetch(`${model.url}/chat/completions`, { method: "POST", headers, body: "{" });
    expect([broken.status, await broken.json()]).toEqual([
      400,
      { error: expect.objectContaining({ code: null }) },
    ]);
    expect((await fetch(`${model.url}/embeddings`, { method: "POST", headers })).status).toBe(404);
  });

  test("a missing or bad key", async () => {
    const bare = await fetch(`${model.url}/models`);
    expect([bare.status, await bare.json()]).toMatchObject([401, { error: { code: "invalid_api_key" } }]);
    const bad = clientOf(model, "bad-key").models.list();
    await expect(bad).rejects.toBeInstanceOf(OpenAI.AuthenticationError);
  });

  test("a model that does not exist", async () => {
    const error = await create({ model: "missing-gpt" }).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(OpenAI.NotFoundError);
    expect(error).toMatchObject({ code: "model_not_found", type: "invalid_request_error", param: null });
  });
});

describe("summaries", () => {
  const ask = (system: string, content: string) =>
    create({ messages: [{ role: "system", content: system }, user(content)] }).then(
      ({ choices }) => choices[0]?.message.content ?? "",
    );
  const transcript = (...lines: object[]) =>
    ["<conversation>", ...lines.map((line) => JSON.stringify(line)), "</conversation>"].join("\n");
  const summarise = (...lines: object[]) =>
    ask("Write a summary of this conversation.", transcript(...lines));

  test("keep what the user told, and what the summary before told, unless it was corrected", async () => {
    const first = await summarise(
      { user: "My dog is called Laika. What's the weather in Paris?" },
      { assistant: "My dog is called Rex." },
      { user: "Remember that the door code is 4711" },
      { user: "My name is Ada" },
    );
    expect(first).toBe("- my dog is called Laika\n- my name is Ada\n- remember that the door code is 4711");
    expect(await summarise({ summary_so_far: first }, { user: "My name is Grace" })).toBe(
      "- my dog is called Laika\n- my name is Grace\n- remember that the door code is 4711",
    );
    expect(await summarise({ user: "Thanks!" })).toMatch(/nothing/);
  });

  test("are answered from when they are in the prompt", async () => {
    const summary = "In short:\n<conversation_summary>\n- my dog is called Laika\n</conversation_summary>";
    const answer = async (...messages: ReturnType<typeof user>[]) =>
      (await create({ messages })).choices[0]?.message.content;
    expect(await answer(user(summary), user("What is my dog called?"))).toContain("Laika");
    expect(
      await answer(user(summary), user("My dog is called Rex."), user("What is my dog called?")),
    ).toContain("Rex");
    expect(await answer(user("What is my dog called?"))).not.toContain("Laika");
  });
});

describe("titles", () => {
  const titleOf = async (content: string) => {
    const system = { role: "system" as const, content: "Write a short title for this conversation." };
    return (await create({ messages: [system, user(content)] })).choices[0]!.message.content;
  };

  test.each([
    ["What's the weather in Barcelona?", "Weather in Barcelona"],
    ["what time is it in Tokyo?", "Time in Tokyo"],
    ["when is the next public holiday?", "Public holidays"],
    ["  please help me to plan my very long journey  ", "Please help me to plan my"],
    ["«¿Qué hay?»", "Qué hay"],
    ["👩‍👩‍👧", "👩‍👩‍👧"],
    ["   ", "New conversation"],
    ["\ud83d", "\ufffd"],
  ])("%j -> %j", async (message, title) => {
    expect(await titleOf(message)).toBe(title);
  });

  test("of any text have one to six words on one line", async () => {
    await fc.assert(
      fc.asyncProperty(fc.string({ unit: "binary", maxLength: 300 }), async (message) => {
        const title = (await titleOf(message)) ?? "";
        expect(title.split(/\s+/).length).toBeLessThanOrEqual(6);
        expect(title).toMatch(/^\S(?:[^\r\n]*\S)?$/u);
        expect(title.isWellFormed()).toBe(true);
      }),
      { numRuns: 150 },
    );
  });

  test("the word alone does not make a title when tools are offered", async () => {
    const messages: Body["messages"] = [{ role: "system", content: "Mind the title." }, user("Hello")];
    expect((await create({ messages, tools: TOOLS })).choices[0]!.message.content).toContain("offline model");
  });
});

describe("a script", () => {
  test("gives exact answers in turn, then the model speaks again", async () => {
    model.script([
      "Scripted words.",
      { message: { role: "assistant", content: null, refusal: "I cannot help with that." } },
      {
        message: {
          role: "assistant",
          content: null,
          tool_calls: [{ id: "c", type: "function", function: { name: "no_such_tool", arguments: "{" } }],
        },
      },
      { body: { id: "x", object: "chat.completion", choices: [] } },
    ]);
    expect((await create()).choices[0]!.message.content).toBe("Scripted words.");
    expect((await create()).choices[0]).toMatchObject({
      finish_reason: "stop",
      message: { refusal: "I cannot help with that." },
    });
    expect((await create()).choices[0]).toMatchObject({
      finish_reason: "tool_calls",
      message: { tool_calls: [{ function: { name: "no_such_tool", arguments: "{" } }] },
    });
    expect((await create()).choices).toEqual([]);
    expect((await create()).choices[0]!.message.content).toContain("offline model");
  });

  test("can loop for ever, from a function of the request", async () => {
    let asked = 0;
    model.script(
      [
        ({ messages }) => {
          asked += 1;
          const call = {
            id: `call_${messages.length}`,
            type: "function",
            function: { name: "get_today_date", arguments: "{}" },
          };
          return { message: { role: "assistant", content: null, tool_calls: [call] } };
        },
      ],
      { repeat: true },
    );
    await expect(openChat(model).ask("Hello")).rejects.toThrow("never stopped");
    expect(asked).toBe(8);
  });

  test("is for replies unless it says otherwise", async () => {
    const messages: Body["messages"] = [{ role: "system", content: "Give a title." }, user("Hello there")];
    model.script(["Scripted."]);
    expect((await create({ messages })).choices[0]!.message.content).toBe("Hello there");
    expect((await create()).choices[0]!.message.content).toBe("Scripted.");
    model.script(["Scripted title"], { for: "titles" });
    expect((await create()).choices[0]!.message.content).toContain("offline model");
    expect((await create({ messages })).choices[0]!.message.content).toBe("Scripted title");
  });
});

describe("faults as the client sees them", () => {
  test.each<[Fault, new (...args: never[]) => Error, object]>([
    [{ status: 429, retryAfterSeconds: 2 }, OpenAI.RateLimitError, { code: "rate_limit_exceeded" }],
    [
      { status: 429, code: "insufficient_quota" },
      OpenAI.RateLimitError,
      { code: "insufficient_quota", type: "insufficient_quota" },
    ],
    [
      { status: 400, code: "context_length_exceeded" },
      OpenAI.BadRequestError,
      { code: "context_length_exceeded" },
    ],
    [{ status: 500 }, OpenAI.InternalServerError, { status: 500, type: "server_error" }],
  ])("%j", async (fault, type, expected) => {
    model.inject({ ...fault, times: 1 });
    const error = await create().catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(type);
    expect(error).toMatchObject(expected);
    if (fault.retryAfterSeconds) expect((error as APIError).headers?.get("retry-after")).toBe("2");
  });

  test("cut, malformed and hanging answers", async () => {
    model.inject({ cut: true, times: 1 });
    await expect(create()).rejects.toThrow();
    model.inject({ malformed: true, times: 1 });
    await expect(create()).rejects.toThrow();
    model.inject({ hang: true, times: 1 });
    await expect(
      client.chat.completions.create({ model: "m", messages: [user("x")] }, { timeout: 100 }),
    ).rejects.toBeInstanceOf(OpenAI.APIConnectionTimeoutError);
  });

  test("bodyIncludes strikes replies and spares titles", async () => {
    model.inject({ status: 500, bodyIncludes: '"tools"' });
    await expect(create({ tools: TOOLS })).rejects.toBeInstanceOf(OpenAI.InternalServerError);
    expect(
      (await create({ messages: [{ role: "system", content: "title" }, user("Hi")] })).choices,
    ).toHaveLength(1);
  });

  test("latencyMs is added to every answer", async () => {
    const slow = await startModel({ latencyMs: 60 });
    const started = performance.now();
    await clientOf(slow).models.list();
    expect(performance.now() - started).toBeGreaterThan(55);
    await slow.close();
  });
});
