import { dataOf, parseEmf } from "@parley/local/cloudwatch/emf";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { startEngines } from "../performance/engines.ts";
import { emfProblems } from "./emf-schema.ts";
import { callTraced, emfLines, type FunctionSource, httpEvent, type TracedCall } from "./traced-function.ts";
import { drawTree, findStep, namesOf, type Step } from "./x-ray.ts";

const MESSAGE = "What's the weather in Barcelona?";
const SESSION = { platform: "api", user_id: "user-hunter2", chat_id: "chat-hunter2" };
const POST = { method: "POST", path: "/v1/messages" };

/**
 * One turn about the weather through a function that continues conversations, wherever it lies: its trace, its metrics
 * and its line in the log.
 */
export function turnTraceSuite(source: FunctionSource): void {
  let engines: Awaited<ReturnType<typeof startEngines>>;
  let turn: TracedCall;

  beforeAll(async () => {
    engines = await startEngines({ redis: { engine: "embedded" } });
    turn = await ask();
  });
  afterAll(() => engines.close());

  function ask({
    chat = SESSION.chat_id,
    message = MESSAGE,
    env = {},
    sampled = true,
  } = {}): Promise<TracedCall> {
    const body = { message, session_metadata: { ...SESSION, chat_id: chat } };
    const event = httpEvent(POST.method, POST.path, { "x-request-id": "request-1" }, body);
    return callTraced(source, { ...engines.env, ...env }, event, { sampled });
  }

  const bodyOf = ({ result }: TracedCall) => JSON.parse((result as { body: string }).body);

  describe("the trace of a turn about the weather", () => {
    test("is the tree of the original's documentation", () => {
      process.stdout.write(`\n${turn.traceHeader.split(";")[0]}\n${drawTree(turn.tree)}`);
      // Powertools names a function's own subsegment after its handler: the request.
      expect(turn.tree.map(({ name }) => name)).toEqual([expect.stringMatching(/^## .+\.handler$/)]);
      const [request] = turn.tree;
      expect(namesOf(request?.children ?? [])).toEqual({
        "chat service": {
          "session lookup": {},
          "store begin": {},
          title: {},
          "assistant reply": { model: {}, "tool get_weather": { "weather weatherapi": {} } },
          "store save": {},
        },
      });
      const reply = findStep(turn.tree, "assistant reply");
      expect(reply?.children.map(({ name }) => name)).toEqual(["model", "tool get_weather", "model"]);
    });

    test("has each step within the time of the one around it, and none left open", () => {
      const check = (step: Step) => {
        for (const child of step.children) {
          expect(child.start_time).toBeGreaterThanOrEqual(step.start_time);
          expect(child.end_time).toBeLessThanOrEqual(step.end_time ?? 0);
          check(child);
        }
      };
      turn.tree.forEach(check);
    });

    test("tells what it can be searched by", () => {
      const [request] = turn.tree;
      expect(request?.annotations).toMatchObject({
        ...POST,
        status: 200,
        Service: "parley",
        ColdStart: true,
      });
      expect(findStep(turn.tree, "chat service")?.annotations).toEqual({ platform: "api", outcome: "done" });
      expect(findStep(turn.tree, "session lookup")?.annotations).toEqual({ cache: "miss" });
      expect(findStep(turn.tree, "tool get_weather")?.annotations).toEqual({
        cache: "miss",
        provider: "weatherapi",
      });
      expect(findStep(turn.tree, "weather weatherapi")?.annotations).toEqual({ provider: "weatherapi" });
      expect(findStep(turn.tree, "model")?.annotations).toEqual({ model: "gpt-5.4-mini" });
    });

    test("holds no text, no id of a user, a chat or a conversation, no address and no secret", () => {
      const { conversation_id, reply } = bodyOf(turn);
      const all = turn.datagrams.join("\n");
      for (const secret of [MESSAGE, "Barcelona", reply, "hunter2", conversation_id, "simulated", "http://"])
        expect(all).not.toContain(secret);
    });

    test("of the next turn shows what the caches knew", async () => {
      const next = await ask();
      expect(findStep(next.tree, "session lookup")?.annotations).toEqual({ cache: "hit" });
      expect(findStep(next.tree, "tool get_weather")).toMatchObject({
        children: [],
        annotations: { cache: "hit", provider: "weatherapi" },
      });
      expect(namesOf(next.tree[0]?.children ?? [])["chat service"]).toHaveProperty("store load");
    });

    test("of a failed turn has the failure's kind and not its words", async () => {
      engines.model.inject({ status: 500, message: "hunter2 said by the model", bodyIncludes: '"tools"' });
      const failed = await ask({ chat: "other", env: { RETRY_MAX_ATTEMPTS: "0" } });
      engines.model.reset();
      expect(failed.result).toMatchObject({ statusCode: 503 });
      expect(failed.tree[0]).toMatchObject({ error: true, annotations: { status: 503 } });
      expect(findStep(failed.tree, "chat service")).toMatchObject({
        fault: true,
        annotations: { outcome: "failed" },
        cause: { exceptions: [{ type: "AppError", message: "unavailable" }] },
      });
      expect(failed.datagrams.join("\n")).not.toContain("hunter2");
    });

    describe("when weather fails", () => {
      const env = { RETRY_MAX_ATTEMPTS: "0" };
      const failing = { fault: true, cause: { exceptions: [{ type: "UpstreamError" }] } };
      afterEach(() => {
        engines.weather.reset();
        engines.openMeteo.reset();
      });

      test("of one provider, shows that the other was asked and has answered", async () => {
        engines.weather.inject({ status: 503 });
        const { tree } = await ask({ chat: "one", message: "What's the weather in Lisbon?", env });
        expect(findStep(tree, "tool get_weather")).toMatchObject({
          annotations: { cache: "miss", provider: "open-meteo" },
          children: [
            { name: "weather weatherapi", ...failing },
            { name: "weather open-meteo", annotations: { provider: "open-meteo" } },
          ],
        });
      });

      test("of both, shows both, and the answer says so without any weather", async () => {
        engines.weather.inject({ status: 503 });
        engines.openMeteo.inject({ status: 503 });
        const down = await ask({ chat: "both", message: "What's the weather in Quito?", env });
        const steps = findStep(down.tree, "tool get_weather")?.children;
        expect(steps).toMatchObject([
          { name: "weather weatherapi", ...failing },
          { name: "weather open-meteo", ...failing },
        ]);
        const { reply } = bodyOf(down);
        expect(reply).toMatch(/unavailable/i);
        expect(reply).not.toMatch(/\d|°/);
      });
    });

    test("is not made of an invocation that is not sampled", async () => {
      const { result, datagrams } = await ask({ sampled: false });
      expect(result).toMatchObject({ statusCode: 200 });
      expect(datagrams).toEqual([]);
    });
  });

  describe("the metrics of the same turn", () => {
    test("are EMF as CloudWatch's specification has it", () => {
      const lines = emfLines(turn.output);
      expect(lines.length).toBeGreaterThan(0);
      for (const line of lines) expect(emfProblems(line), line).toEqual([]);
      const bytes = lines.reduce((sum, line) => sum + line.length + 1, 0);
      process.stdout.write(`${lines.length} EMF lines, ${bytes} bytes\n`);
      // One line for each combination of dimensions, and not one a value.
      expect(lines.length).toBeLessThanOrEqual(8);
      expect(bytes).toBeLessThan(5_000);
    });

    test("hold nobody's id, and no text, anywhere in the line", () => {
      const { conversation_id } = bodyOf(turn);
      for (const line of emfLines(turn.output)) {
        for (const secret of ["hunter2", conversation_id, "conv_", "Barcelona", "request-1", "anyone"])
          expect(line).not.toContain(secret);
      }
    });

    test("have what the turn did", () => {
      const data = emfLines(turn.output).flatMap((line) => {
        const document = parseEmf(line);
        return document ? dataOf(document) : [];
      });
      const values = (name: string, dimensions: object = {}) =>
        data.find((datum) => {
          const wanted = { service: "parley", ...dimensions };
          return datum.name === name && JSON.stringify(datum.dimensions) === JSON.stringify(wanted);
        })?.values;
      expect(values("Requests")).toEqual([1]);
      expect(values("Turns")).toEqual([1]);
      expect(values("Turns", { platform: "api", outcome: "done" })).toEqual([1]);
      expect(values("TurnDuration")?.[0]).toBeGreaterThan(0);
      expect(values("Sessions", { source: "new" })).toEqual([1]);
      // Two of the reply and the title's.
      expect(values("ModelCalls", { model: "gpt-5.4-mini" })).toEqual([1, 1, 1]);
      expect(values("ModelDuration", { model: "gpt-5.4-mini" })).toHaveLength(3);
      expect(values("ToolCalls", { tool: "get_weather" })).toEqual([1]);
      expect(values("CacheMisses", { cache: "weather-current" })).toEqual([1]);
      expect(values("CacheMisses", { cache: "title" })).toEqual([1]);
      expect(values("ColdStart", { function_name: source.name })).toEqual([1]);
      for (const step of ["SessionLookup", "StoreBegin", "Reply", "StoreSave", "Title"])
        expect(values(`${step}Duration`)).toHaveLength(1);
    });
  });

  test("the request has one line in the log: method, path, status, duration, and the ids of trace and request", () => {
    const lines = turn.output.filter((line) => !line.includes('"_aws"')).map((line) => JSON.parse(line));
    const [line, ...more] = lines.filter(({ message }) => message === "request");
    expect(more).toEqual([]);
    expect(line).toMatchObject({
      level: "INFO",
      service: "parley",
      ...POST,
      status: 200,
      duration_ms: expect.any(Number),
      request_id: "request-1",
      xray_trace_id: turn.traceHeader.match(/Root=([^;]+)/)?.[1],
    });
  });
}
