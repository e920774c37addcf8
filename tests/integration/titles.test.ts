import { Models } from "@parley/core/assistant/models";
import { OpenAIChat } from "@parley/core/assistant/openai-chat";
import { titlePrompt } from "@parley/core/assistant/prompts";
import { TitleCache } from "@parley/core/assistant/title-cache";
import { Titles } from "@parley/core/assistant/titles";
import { sha256 } from "@parley/core/redis/keys";
import { Deadline } from "@parley/core/resilience/deadline";
import { type ModelSimulator, type ScriptedResponse, startModel } from "@parley/local/simulators/model";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { MovableClock } from "../support/clock.ts";
import { fc } from "../support/property.ts";
import { redisWorker } from "../support/redis-worker.ts";
import { OWNER, startRig } from "../support/rig.ts";
import { upstashSuite } from "../support/upstash-suite.ts";

const suite = upstashSuite("embedded");
let model: ModelSimulator;
let clock: MovableClock;

beforeAll(async () => {
  model = await startModel();
});
afterAll(() => model.close());
beforeEach(async () => {
  clock = new MovableClock();
  await suite.rest.result("FLUSHALL");
});
afterEach(() => {
  suite.gateway.fault = undefined;
  model.reset();
});

/** One Lambda instance. */
function instance(modelName = "offline-model", fallbackName?: string) {
  const { redis, telemetry } = redisWorker(suite.gateway, { clock });
  const chat = new OpenAIChat({ apiKey: "test", baseUrl: model.url, model: modelName });
  const models = new Models({
    model: chat,
    fallback: fallbackName
      ? new OpenAIChat({ apiKey: "test", baseUrl: model.url, model: fallbackName })
      : undefined,
    callTimeoutMs: 10_000,
    retryPolicy: { maxRetries: 3, baseMs: 5, capMs: 20 },
    telemetry,
  });
  const titles = new Titles({
    models,
    cache: new TitleCache({ redis, model: chat.name, ttlMs: undefined, clock }),
    telemetry,
  });
  const title = (message: string, ms = 10_000) =>
    titles.title(message, { spender: { owner: "tester" }, deadline: new Deadline(ms, { clock }) });
  return { title, telemetry };
}

function says(...responses: ScriptedResponse[]): void {
  model.script(responses, { for: "titles", repeat: true });
}

describe("a title", () => {
  test("is what the model makes of the first message", async () => {
    expect(await instance().title("What's the weather in Barcelona?")).toBe("Weather in Barcelona");
    const [request] = model.requests.map(({ body }) => JSON.parse(body));
    expect(request.messages).toEqual([
      { role: "system", content: titlePrompt.text },
      { role: "user", content: "What's the weather in Barcelona?" },
    ]);
    expect(request).not.toHaveProperty("tools");
  });

  test.each([
    ['"Weather in Barcelona"', "Weather in Barcelona"],
    ['"Weather in Barcelona"\n', "Weather in Barcelona"],
    [" 'Weather in Barcelona'. ", "Weather in Barcelona"],
    ["“Wetter in München”", "Wetter in München"],
    ["« Météo à Paris »", "Météo à Paris"],
    ["Two\nlines", "Two lines"],
    ["東京の天気", "東京の天気"],
    ["🎉 Party 👩‍👩‍👧", "🎉 Party 👩‍👩‍👧"],
    ["x".repeat(61), `${"x".repeat(59)}…`],
    ["👩‍👩‍👧".repeat(61), `${"👩‍👩‍👧".repeat(59)}…`],
  ])("%j becomes %j", async (said, title) => {
    says(said);
    expect(await instance().title("a message")).toBe(title);
  });
});

describe("the cache", () => {
  test("keeps it for good, for all instances, under a hash", async () => {
    const message = "What's the weather in Barcelona?";
    await instance().title(message);
    clock.advance(365 * 86_400_000);
    expect(await instance().title(message)).toBe("Weather in Barcelona");
    expect(model.total()).toBe(1);
    const key = `title:${sha256(`offline-model\n${titlePrompt.version}\n${message}`)}`;
    expect(await suite.rest.result("KEYS", "*")).toEqual([key]);
    expect(await suite.rest.result("PTTL", key)).toBe(-1);
  });

  test("knows other messages and other models as others", async () => {
    await instance().title("one");
    await instance().title("other");
    await instance("gpt-6-luna").title("one");
    expect(model.total()).toBe(3);
  });

  test("is not needed", async () => {
    suite.gateway.fault = "refuse";
    expect(await instance().title("What's the weather in Barcelona?")).toBe("Weather in Barcelona");
  });

  test("that holds something else is a miss", async () => {
    await instance().title("What's the weather in Barcelona?");
    const [key] = (await suite.rest.result("KEYS", "*")) as [string];
    for (const value of ["", "x", '{"at":1,"value":""}', '{"at":1,"value":7}']) {
      await suite.rest.command("SET", key, value);
      expect(await instance().title("What's the weather in Barcelona?")).toBe("Weather in Barcelona");
    }
  });
});

describe("without the model the message's beginning serves", () => {
  test.each([
    { status: 500 },
    { status: 429, code: "insufficient_quota" },
    { malformed: true },
    { cut: true },
    { status: 401 },
  ])("%j", async (fault) => {
    model.inject(fault);
    const { title, telemetry } = instance();
    expect(await title("  Tell me\neverything about Barcelona ")).toBe("Tell me everything about Barcelona");
    expect(model.total()).toBe(1);
    expect(telemetry.warnings).toHaveLength(1);
    model.reset();
    says("Barcelona");
    expect(await title("  Tell me\neverything about Barcelona ")).toBe("Barcelona");
  });

  test("unless the fallback gives one: once, and no retries before it", async () => {
    model.inject({ status: 503, bodyIncludes: '"model":"offline-model"' });
    const { title, telemetry } = instance("offline-model", "gpt-6-luna");
    expect(await title("What's the weather in Barcelona?")).toBe("Weather in Barcelona");
    expect(model.total()).toBe(2);
    expect(telemetry.total("ModelFallbacks")).toBe(1);
  });

  test("when it hangs, within the request's time", async () => {
    model.inject({ hang: true });
    const startedAt = performance.now();
    expect(await instance().title("Hello", 150)).toBe("Hello");
    expect(performance.now() - startedAt).toBeLessThan(4_000);
  });

  test.each(["", " ", '""', "«»", "..."])("when it says %j", async (said) => {
    says({ message: { role: "assistant", content: said } });
    expect(await instance().title("Hello")).toBe("Hello");
    expect(await suite.rest.result("KEYS", "*")).toEqual([]);
  });

  test("whatever the message: one line, at most sixty characters, none broken", async () => {
    model.inject({ status: 500 });
    const { title } = instance();
    const segmenter = new Intl.Segmenter();
    const message = fc.oneof(
      fc.string({ unit: "grapheme", minLength: 1 }),
      fc.string({ unit: "binary", minLength: 1 }),
    );
    await fc.assert(
      fc.asyncProperty(
        message.filter((text) => text.trim() !== ""),
        async (text) => {
          const found = await title(text.repeat(20));
          expect(found).not.toBe("");
          expect(found.isWellFormed()).toBe(true);
          expect(found).not.toMatch(/[\n\r]/);
          expect([...segmenter.segment(found)].length).toBeLessThanOrEqual(60);
        },
      ),
      { numRuns: 15 },
    );
  });
});

test("in a turn it is asked for beside the reply, once, and its failure is not the turn's", async () => {
  const rig = await startRig({ engine: "embedded" });
  try {
    const { conversations } = rig.worker();
    const start = (message: string) =>
      conversations.start({ owner: OWNER, message, deadline: rig.deadline() });

    const slow = rig.model.inject({ delayMs: 300 });
    const first = await start("Hello, who are you?");
    slow();
    expect(first.title).toBe("Hello, who are you");
    const [one, other] = rig.model.requests.map(({ at }) => at);
    expect(rig.model.total()).toBe(2);
    expect(Math.abs(one! - other!)).toBeLessThan(200);

    await conversations.continue({
      owner: OWNER,
      conversationId: first.conversationId,
      message: "And now?",
      deadline: rig.deadline(),
    });
    expect(rig.model.total()).toBe(3);

    rig.model.inject({ status: 500, bodyIncludes: titlePrompt.text.slice(0, 40) });
    const second = await start("Good morning to you");
    expect(second.title).toBe("Good morning to you");
    expect(second.reply.text).not.toBe("");
  } finally {
    await rig.close();
  }
});
