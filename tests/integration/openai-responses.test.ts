import type { ModelRequest } from "@parley/core/assistant/chat-model";
import { OpenAIResponses } from "@parley/core/assistant/openai-responses";
import { UpstreamError } from "@parley/core/resilience/upstream-error";
import { type ModelSimulator, startModel } from "@parley/local/simulators/model";
import type OpenAI from "openai";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { assistantOn, calling, textTool } from "../support/assistant.ts";
import { OWNER, startRig } from "../support/rig.ts";

let model: ModelSimulator;
beforeAll(async () => {
  model = await startModel();
});
afterAll(() => model.close());
afterEach(() => model.reset());

type Sent = OpenAI.Responses.ResponseCreateParams & { input: { type?: string; id?: string }[] };
const sent = (): Sent[] => model.requests.map(({ body }) => JSON.parse(body));
const echo = textTool("echo", ({ text }) => `echo ${text}`);
const setup = { api: "responses", tools: [echo] } as const;

const request = (more: Partial<ModelRequest> = {}): ModelRequest => ({
  instructions: "Be brief.",
  items: [{ type: "message", role: "user", content: "Hello" }],
  tools: [],
  toolChoice: "auto",
  signal: AbortSignal.timeout(10_000),
  ...more,
});
const driver = (name = "offline-model") =>
  new OpenAIResponses({ apiKey: "test", baseUrl: model.url, model: name });

describe("nothing is left with the provider", () => {
  test("store is false, and nothing goes on from a response of before", async () => {
    model.script([calling("echo"), calling({ name: "echo", id: "b" }), "done"]);
    await assistantOn(model, setup).reply("Hi");
    expect(sent()).toHaveLength(3);
    for (const body of sent()) {
      expect(body.store).toBe(false);
      expect(body.include).toEqual(["reasoning.encrypted_content"]);
      expect(body).not.toHaveProperty("previous_response_id");
      expect(body).not.toHaveProperty("conversation");
    }
    expect(model.stored()).toEqual([]);
  });

  test("who asks, and in which conversation, are hashes", async () => {
    const rig = await startRig({ engine: "embedded" });
    try {
      const { reply } = assistantOn(rig.model, { api: "responses" });
      const answered = rig.worker({
        assistant: { reply: ({ message, ...question }) => reply(message, question) },
      });
      const session = { platform: "telegram", userId: "user-4711", chatId: "chat-4712" };
      const ask = (message: string) =>
        answered.conversations.converse({ owner: OWNER, message, session, deadline: rig.deadline() });
      const { conversationId } = await ask("Hello");
      await ask("Thanks");
      const bodies: Sent[] = rig.model.requests
        .filter(({ path }) => path === "/v1/responses")
        .map(({ body }) => JSON.parse(body));
      expect(bodies).toHaveLength(2);
      for (const { prompt_cache_key: key, safety_identifier: asker } of bodies) {
        expect(key).toMatch(/^[0-9a-f]{64}$/);
        expect(asker).toMatch(/^[0-9a-f]{64}$/);
        expect([key, asker]).toEqual([bodies[0]?.prompt_cache_key, bodies[0]?.safety_identifier]);
      }
      expect(JSON.stringify(bodies)).not.toMatch(new RegExp(`4711|4712|${conversationId}|${OWNER}`));
    } finally {
      await rig.close();
    }
  });
});

describe("reasoning", () => {
  test("lives on between the rounds of a turn, in its place, and is not stored with it", async () => {
    model.script([
      calling({ name: "echo", id: "a" }, { name: "echo", id: "b" }),
      calling({ name: "echo", id: "c" }),
      "done",
    ]);
    const { steps } = await assistantOn(model, setup).reply("Hi");
    const types = sent().map(({ input }) => input.map(({ type = "message" }) => type));
    const round = (calls: number) => [
      "reasoning",
      ...Array<string>(calls).fill("function_call"),
      ...Array<string>(calls).fill("function_call_output"),
    ];
    expect(types).toEqual([["message"], ["message", ...round(2)], ["message", ...round(2), ...round(1)]]);
    expect(steps.map(({ type }) => type)).toEqual([
      ...["tool_call", "tool_call", "tool_result", "tool_result", "tool_call", "tool_result"],
    ]);
    expect(JSON.stringify(steps)).not.toMatch(/rs_|fc_|encrypted/);
  });

  test("is left out where a call had to be cut, and the turn goes on", async () => {
    model.script([calling({ name: "echo", args: { text: "x".repeat(5_000) } }), "done"]);
    expect((await assistantOn(model, setup).reply("Hi")).text).toBe("done");
    const [, second] = sent();
    expect(second?.input.map(({ type }) => type)).toEqual([
      undefined,
      "function_call",
      "function_call_output",
    ]);
  });

  test("of a model that has none is asked for once", async () => {
    const luna = driver("gpt-4.1-mini");
    expect((await luna.respond(request())).text).toContain("offline model");
    expect((await luna.respond(request())).text).toContain("offline model");
    expect(sent().map(({ include }) => include?.length ?? 0)).toEqual([1, 0, 0]);
  });

  test("that is not handed over is not given back", async () => {
    const { message } = calling("echo");
    const [call] = message["tool_calls"] as [{ id: string; function: object }];
    const bare = {
      type: "function_call",
      id: "fc_1",
      status: "completed",
      call_id: call.id,
      ...call.function,
    };
    const output = [{ type: "reasoning", id: "rs_1", summary: [] }, bare];
    model.script([{ body: { id: "resp_1", object: "response", status: "completed", output } }, "done"]);
    expect((await assistantOn(model, setup).reply("Hi")).text).toBe("done");
    expect(
      sent()
        .at(-1)
        ?.input.map(({ type }) => type),
    ).toEqual([undefined, "function_call", "function_call_output"]);
  });
});

describe("a response", () => {
  const body = (more: object) => ({ body: { id: "resp_1", object: "response", output: [], ...more } });

  test.each(["server_error", "rate_limit_exceeded"])(
    "that failed by %s may be had at another try",
    async (code) => {
      model.script([body({ status: "failed", error: { code, message: "what the user wrote" } })]);
      const error = await driver()
        .respond(request())
        .catch((thrown: unknown) => thrown);
      expect(error).toBeInstanceOf(UpstreamError);
      expect(error).toMatchObject({ transient: true, cause: new Error(`failed ${code}`) });
    },
  );

  test.each(["invalid_prompt", "bio_policy"])("that failed by %s may not", async (code) => {
    model.script([body({ status: "failed", error: { code, message: "what the user wrote" } })]);
    await expect(driver().respond(request())).rejects.toMatchObject({ code: "internal" });
  });

  test.each(["in_progress", "queued", "cancelled"])("that is %s is none", async (status) => {
    model.script([body({ status })]);
    await expect(driver().respond(request())).rejects.toBeInstanceOf(UpstreamError);
  });

  test("with an answer after what was said on the way is the answer", async () => {
    const said = (text: string, phase: string) => ({
      type: "message",
      id: `msg_${phase}`,
      role: "assistant",
      status: "completed",
      phase,
      content: [{ type: "output_text", text, annotations: [] }],
    });
    model.script([
      body({
        status: "completed",
        output: [said("Let me think.", "commentary"), said("42", "final_answer")],
      }),
    ]);
    expect(await driver().respond(request())).toMatchObject({
      text: "42",
      usage: { input: 0, output: 0, cached: 0 },
    });
  });

  test("from a server that has no Responses names the setting", async () => {
    const elsewhere = new OpenAIResponses({ apiKey: "test", baseUrl: `${model.url}/old`, model: "m" });
    await expect(elsewhere.respond(request())).rejects.toMatchObject({
      message: "The server at OPENAI_BASE_URL does not speak Responses: check OPENAI_API.",
      meta: { setting: "OPENAI_API" },
    });
  });
});
