import { inspect } from "node:util";
import type { ChatModel, Item, ModelRequest, Round } from "@parley/core/assistant/chat-model";
import type { OpenAIOptions } from "@parley/core/assistant/openai-client";
import { ToolRunner } from "@parley/core/assistant/tool-runner";
import { AppError } from "@parley/core/error";
import { UpstreamError } from "@parley/core/resilience/upstream-error";
import { silentTelemetry } from "@parley/core/telemetry";
import type { Fault } from "@parley/local/simulators/faults";
import { type ModelSimulator, startModel } from "@parley/local/simulators/model";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { calling } from "../support/assistant.ts";
import { productTools } from "../support/product-tools.ts";
import { fc } from "../support/property.ts";

/** What a request says, whatever its protocol. */
export type Seen = {
  instructions: unknown;
  /** "user: text", "call: id name arguments", "result: id text"; what has no canonical form is left out. */
  items: string[];
  tools: { name: string; strict: unknown; parameters: unknown }[];
  toolChoice: unknown;
  effort: unknown;
};

export type Driver = {
  create: (options: OpenAIOptions) => ChatModel;
  path: string;
  see: (body: string) => Seen;
};

const KEY = "sk-hunter2";
const SECRET = "what the user wrote to nobody else";

const { definitions } = new ToolRunner({
  tools: productTools(),
  timeoutMs: 1_000,
  telemetry: silentTelemetry,
});

const user = (content: string): Item => ({ type: "message", role: "user", content });
const assistant = (content: string): Item => ({ type: "message", role: "assistant", content });

/** The contract of a `ChatModel`, over sockets against the simulated model. */
export function chatModelSuite(name: string, { create, path, see }: Driver): void {
  describe(name, () => {
    let simulator: ModelSimulator;
    beforeAll(async () => {
      simulator = await startModel({ now: () => new Date("2026-11-22T14:40:12Z") });
      // The first call loads the client: that shall not count against a short time limit.
      await model().respond(asking("Hi"));
      simulator.reset();
    });
    afterAll(() => simulator.close());
    afterEach(() => simulator.reset());

    const model = (options: Partial<OpenAIOptions> = {}) =>
      create({ apiKey: KEY, baseUrl: simulator.url, model: "offline-model", ...options });
    const asking = (content: string, more: Partial<ModelRequest> = {}): ModelRequest => ({
      instructions: "Be brief.",
      items: [user(content)],
      tools: [],
      toolChoice: "auto",
      signal: AbortSignal.timeout(10_000),
      ...more,
    });
    const seen = () =>
      simulator.requests.map(({ path: at, body }) => {
        expect(at).toBe(path);
        return see(body);
      });
    const failure = (request = asking(SECRET), options: Partial<OpenAIOptions> = {}) =>
      model(options)
        .respond(request)
        .then(
          () => {
            throw new Error("there was an answer");
          },
          (error: unknown) => error,
        );
    /** The message with scripted rounds of tools before it, as the assistant's loop asks. */
    async function converse(content: string, run: (name: string) => string) {
      const chat = model();
      const rounds: Round[] = [];
      for (;;) {
        const response = await chat.respond(
          asking(content, { items: [user(content), ...rounds], tools: definitions }),
        );
        if (response.toolCalls.length === 0) return { response, rounds };
        const results = response.toolCalls.map((call) => ({
          type: "tool_result" as const,
          callId: call.id,
          content: run(call.name),
        }));
        rounds.push({ type: "round", steps: [...response.toolCalls, ...results], output: response.output });
      }
    }

    describe("an answer", () => {
      test("is words, with the tokens that it took", async () => {
        const { text, toolCalls, usage } = await model().respond(asking("Hello"));
        expect(text).toContain("offline model");
        expect(toolCalls).toEqual([]);
        expect(usage.input).toBeGreaterThan(5);
        expect(usage.output).toBeGreaterThan(5);
        expect(usage.cached).toBe(0);
      });

      test("counts what was in the prompt cache", async () => {
        const instructions = "Be brief. ".repeat(800);
        const first = await model().respond(asking("Hello", { instructions }));
        const items = [user("Hello"), assistant(first.text), user("And now?")];
        const second = await model().respond(asking("", { instructions, items }));
        expect(first.usage.cached).toBe(0);
        expect(second.usage.cached).toBeGreaterThanOrEqual(1_024);
        expect(second.usage.cached).toBeLessThanOrEqual(first.usage.input);
        expect(second.usage.input).toBeGreaterThan(first.usage.input);
      });

      test("to a conversation, in its order, after the instructions", async () => {
        const call: Item = { type: "tool_call", id: "call_1", name: "get_today_date", arguments: "{}" };
        const items = [
          user("What day is it?"),
          call,
          { type: "tool_result" as const, callId: "call_1", content: "Sunday" },
          assistant("Sunday."),
          user("Thanks"),
        ];
        await model().respond(asking("", { items }));
        expect(seen()[0]).toMatchObject({
          instructions: "Be brief.",
          items: [
            "user: What day is it?",
            "call: call_1 get_today_date {}",
            "result: call_1 Sunday",
            "assistant: Sunday.",
            "user: Thanks",
          ],
        });
      });

      test("leaves any text as it is", async () => {
        await fc.assert(
          fc.asyncProperty(fc.string({ unit: "grapheme", minLength: 1, maxLength: 60 }), async (words) => {
            simulator.reset();
            simulator.script([`${words}.`]);
            const { text } = await model().respond(asking(words, { instructions: words }));
            expect(text).toBe(`${words}.`);
            expect(seen()[0]).toMatchObject({ instructions: words, items: [`user: ${words}`] });
          }),
          { numRuns: 30 },
        );
      });

      test("has the reasoning effort that is set, and none when none is", async () => {
        await model().respond(asking("Hello"));
        await model({ reasoningEffort: "low" }).respond(asking("Hello"));
        expect(seen().map(({ effort }) => effort)).toEqual([undefined, "low"]);
      });

      test("that was cut for its length is given as far as it goes", async () => {
        simulator.script([
          { message: { role: "assistant", content: "Once upon a" }, finish_reason: "length" },
        ]);
        expect((await model().respond(asking("A story"))).text).toBe("Once upon a");
      });

      // Chat Completions has two names for the limit, and each is unknown to some models.
      test.each(["offline-model", "gpt-6-luna"])(
        "of %s is no longer than the limit that is set",
        async (name) => {
          const limited = model({ model: name, maxOutputTokens: 50 });
          const { text, usage } = await limited.respond(asking("Give me a long answer"));
          expect(usage.output).toBeLessThanOrEqual(50);
          expect(text.length).toBeGreaterThan(100);
        },
      );

      test("can be a refusal, in the model's words", async () => {
        simulator.script([
          { message: { role: "assistant", content: null, refusal: "I can't help with that." } },
        ]);
        expect(await model().respond(asking("x"))).toMatchObject({
          text: "I can't help with that.",
          toolCalls: [],
        });
      });

      test.each([null, "", " \n"])("cannot be %j", async (content) => {
        simulator.script([{ message: { role: "assistant", content } }]);
        expect(await failure()).toMatchObject({
          code: "unavailable",
          message: "The model gave an empty answer. Send the message again.",
          meta: { retry_after: "1" },
        });
      });

      test("that the provider's filter held back is told as such", async () => {
        simulator.script([
          { message: { role: "assistant", content: null }, finish_reason: "content_filter" },
        ]);
        expect(await failure()).toMatchObject({
          code: "unavailable",
          message:
            "The model's provider held the answer back: its content filter. Put the question another way.",
        });
      });
    });

    describe("tools", () => {
      test("are offered strict, byte for byte the same every time", async () => {
        for (const content of ["Hello", "Thanks"])
          await model().respond(asking(content, { tools: definitions }));
        const [first, second] = simulator.requests.map(({ body }) => JSON.stringify(JSON.parse(body).tools));
        expect(second).toBe(first);
        const [{ tools } = { tools: [] }] = seen();
        expect(tools).toEqual(
          definitions.map(({ name: of, parameters }) => ({ name: of, strict: true, parameters })),
        );
      });

      test("that are not offered have no choice either", async () => {
        await model().respond(asking("Hello"));
        expect(seen()[0]).toMatchObject({ tools: [], toolChoice: undefined });
      });

      test("are not called when the answer shall be words", async () => {
        const request = asking("What's the weather in Oslo?", { tools: definitions, toolChoice: "none" });
        expect((await model().respond(request)).toolCalls).toEqual([]);
        expect(seen()[0]?.toolChoice).toBe("none");
      });

      test("are called in parallel, and their results lead to the answer", async () => {
        const { response, rounds } = await converse(
          "What's the weather in Barcelona, and what day is it in Tokyo?",
          (called) => (called === "get_weather" ? "18 °C in Barcelona" : "Sunday, 2026-11-22T23:40:12+09:00"),
        );
        expect(rounds).toHaveLength(1);
        const calls = rounds[0]!.steps.filter((step) => step.type === "tool_call");
        expect(calls.map((call) => call.name).sort()).toEqual(["get_today_date", "get_weather"]);
        expect(new Set(calls.map(({ id }) => id)).size).toBe(2);
        expect(response.text).toContain("18 °C");
        const [, second] = seen();
        expect(second?.items.map((item) => item.split(" ").slice(0, 2).join(" "))).toEqual([
          "user: What's",
          ...calls.map(({ id }) => `call: ${id}`),
          ...calls.map(({ id }) => `result: ${id}`),
        ]);
      });

      test("may take several rounds; what was said on the way stays", async () => {
        simulator.script([
          calling({ name: "get_today_date", id: "a", args: { timezone: null } }),
          calling(
            { name: "get_today_date", id: "b", args: { timezone: "UTC" } },
            { name: "get_weather", id: "c" },
          ),
          ({ messages }) => `It took ${messages.filter(({ role }) => role === "tool").length}.`,
        ]);
        const { response, rounds } = await converse("How long?", () => "x");
        expect(response.text).toBe("It took 3.");
        expect(rounds).toHaveLength(2);
        expect(seen().at(-1)?.items).toEqual([
          "user: How long?",
          'call: a get_today_date {"timezone":null}',
          "result: a x",
          'call: b get_today_date {"timezone":"UTC"}',
          'call: c get_weather {"text":null}',
          "result: b x",
          "result: c x",
        ]);
      });

      test("may be called with words beside the call", async () => {
        const { message } = calling("get_today_date");
        simulator.script([{ message: { ...message, content: "Let me see." } }]);
        const { text, toolCalls } = await model().respond(asking("x", { tools: definitions }));
        expect([text, toolCalls.length]).toEqual(["Let me see.", 1]);
      });

      test("called with arguments that are no JSON are told so, in a form that every server reads", async () => {
        simulator.script([calling({ name: "get_weather", args: "{nonsense", id: "a" }), "done"]);
        const { response, rounds } = await converse("x", () => "Error: not valid JSON");
        expect(response.text).toBe("done");
        expect(rounds[0]?.steps[0]).toMatchObject({ arguments: "{nonsense" });
        expect(seen().at(-1)?.items).toEqual([
          "user: x",
          "call: a get_weather {}",
          "result: a Error: not valid JSON",
        ]);
      });

      test("called under one id twice, or under a name that is none, can still be answered", async () => {
        simulator.script([
          calling({ name: "no such tool!", id: "a" }, { name: "get_weather", id: "a" }),
          "done",
        ]);
        const { response, rounds } = await converse("x", () => "y");
        expect(response.text).toBe("done");
        const calls = rounds[0]!.steps.filter((step) => step.type === "tool_call");
        expect(calls.map(({ id, name: called }) => [id, called])).toEqual([
          ["call_0", "no_such_tool_"],
          ["call_1", "get_weather"],
        ]);
      });

      test("whose calls were cut or dropped can still be answered", async () => {
        simulator.script([calling("a", "b", "c"), "done"]);
        const chat = model();
        const { toolCalls, output } = await chat.respond(asking("x", { tools: definitions }));
        const kept = toolCalls
          .slice(0, 2)
          .map((call, index) => (index ? { ...call, arguments: "{}" } : call));
        const results = kept.map(({ id }) => ({ type: "tool_result" as const, callId: id, content: "y" }));
        const round: Round = { type: "round", steps: [...kept, ...results], output };
        const { text } = await chat.respond(asking("x", { items: [user("x"), round], tools: definitions }));
        expect(text).toBe("done");
        expect(seen().at(-1)?.items).toHaveLength(5);
      });
    });

    const setting = (of: string, message: string) => ({
      code: "failed_precondition",
      message: `${message}: check ${of}.`,
      meta: { setting: of },
    });
    const KEY_REFUSED = setting("OPENAI_API_KEY", "The model's provider refused the key");
    const GONE = setting("OPENAI_MODEL", 'The model "offline-model" does not exist or is gone');
    const TOO_LONG = {
      code: "out_of_range",
      message: "The conversation is too long for the model: lower MAX_CONTEXT_TOKENS.",
      meta: { setting: "MAX_CONTEXT_TOKENS" },
    };
    const REFUSED = { code: "internal", message: "The model's provider refused the request." };

    describe("what another attempt cannot mend is an error of ours", () => {
      test.each<[Fault, object]>([
        [{ status: 400 }, REFUSED],
        [{ status: 400, code: "context_length_exceeded" }, TOO_LONG],
        [{ status: 413 }, TOO_LONG],
        [{ status: 401 }, KEY_REFUSED],
        [{ status: 403 }, KEY_REFUSED],
        [{ status: 404, code: "model_not_found" }, GONE],
        [{ status: 400, code: "model_not_found" }, GONE],
        [{ status: 403, code: "model_not_found" }, GONE],
        [{ status: 422 }, REFUSED],
        [
          { status: 429, code: "insufficient_quota" },
          {
            code: "resource_exhausted",
            message: "The OpenAI account has no quota left: check its billing.",
          },
        ],
      ])("%j", async (fault, expected) => {
        simulator.inject(fault);
        const error = await failure();
        expect(error).toBeInstanceOf(AppError);
        expect(error).toMatchObject(expected);
        expect(simulator.total()).toBe(1);
      });

      test("of the provider itself: a key, a model, and a fallback", async () => {
        expect(await failure(asking(SECRET), { apiKey: "bad-hunter2" })).toMatchObject(KEY_REFUSED);
        expect(await failure(asking(SECRET), { model: "missing-gpt" })).toMatchObject(
          setting("OPENAI_MODEL", 'The model "missing-gpt" does not exist or is gone'),
        );
        const fallback = { model: "missing-gpt", setting: "OPENAI_FALLBACK_MODEL" } as const;
        expect(await failure(asking(SECRET), fallback)).toMatchObject({
          meta: { setting: "OPENAI_FALLBACK_MODEL" },
        });
      });
    });

    describe("what may pass is the provider's failure, told without an attempt more", () => {
      test.each<Fault>([
        { status: 408 },
        { status: 409 },
        { status: 429 },
        { status: 429, code: "rate_limit_exceeded" },
        { status: 500 },
        { status: 502 },
        { status: 503 },
        { malformed: true },
        { cut: true },
      ])("%j", async (fault) => {
        simulator.inject(fault);
        const error = await failure();
        expect(error).toBeInstanceOf(UpstreamError);
        expect(error).toMatchObject({ transient: true, retryAfterMs: undefined });
        expect(simulator.total()).toBe(1);
      });

      test("with the wait that it asks for", async () => {
        simulator.inject({ status: 429, retryAfterSeconds: 7 });
        expect(await failure()).toMatchObject({ transient: true, retryAfterMs: 7_000 });
        simulator.reset();
        simulator.inject({ status: 503, retryAfterSeconds: 0.5 });
        expect(await failure()).toMatchObject({ transient: true, retryAfterMs: 500 });
      });

      test.each<[string, unknown]>([
        ["null", null],
        ["a list", []],
        ["an empty object", {}],
        ["text", "hello"],
        ["a number", 7],
      ])("a body that is %s is no answer", async (_, body) => {
        simulator.script([{ body }]);
        const error = await failure();
        expect(error instanceof UpstreamError ? "unavailable" : (error as AppError).code).toBe("unavailable");
      });

      test("an unreachable server", async () => {
        const gone = await startModel();
        await gone.close();
        const error = await failure(asking(SECRET), { baseUrl: gone.url });
        expect(error).toBeInstanceOf(UpstreamError);
        expect(error).toMatchObject({ transient: true });
      });
    });

    describe("the caller's signal", () => {
      test("ends a call that hangs", async () => {
        simulator.inject({ hang: true });
        const startedAt = performance.now();
        const error = await failure(asking(SECRET, { signal: AbortSignal.timeout(100) }));
        expect(error).toBeInstanceOf(UpstreamError);
        expect(performance.now() - startedAt).toBeLessThan(4_000);
      });

      test("ends it at once when somebody gives up", async () => {
        simulator.inject({ delayMs: 5_000 });
        const giveUp = new AbortController();
        const startedAt = performance.now();
        const ended = failure(asking(SECRET, { signal: giveUp.signal }));
        setTimeout(() => giveUp.abort(), 50);
        expect(await ended).toBeInstanceOf(UpstreamError);
        expect(performance.now() - startedAt).toBeLessThan(4_000);
      });

      test("that is over before the call lets none be made", async () => {
        expect(await failure(asking(SECRET, { signal: AbortSignal.abort() }))).toBeInstanceOf(UpstreamError);
        expect(simulator.total()).toBe(0);
      });
    });

    test.each<Fault>([
      ...[400, 401, 403, 404, 408, 409, 413, 422, 429, 500, 503].map((status) => ({ status })),
      { status: 400, code: "context_length_exceeded" },
      { status: 429, code: "insufficient_quota" },
      { cut: true },
      { malformed: true },
    ])("no error has the key, or what was said, in it: %j", async (fault) => {
      simulator.inject({ message: `${SECRET}: ${KEY} may not`, ...fault });
      const error = await failure(asking(SECRET, { instructions: SECRET }));
      const told = `${inspect(error, { depth: 20, showHidden: true })}${(error as Error).stack}`;
      expect(told).not.toContain("hunter2");
      expect(told).not.toContain(SECRET);
    });
  });
}
