import { randomUUID } from "node:crypto";
import { routes } from "@parley/functions/api/routes";
import { type Gateway, type GatewayLog, startGateway } from "@parley/local/gateway/server";
import { startModel } from "@parley/local/simulators/model";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startEngines } from "../performance/engines.ts";
import { TASK_ROOT } from "../support/in-process.ts";

/** Of a function; what is kept back from it for the answer is 3 s. */
const TIMEOUT_MS = 4_000;

let engines: Awaited<ReturnType<typeof startEngines>>;
let model: Awaited<ReturnType<typeof startModel>>;
let gateway: Gateway;
const log: GatewayLog[] = [];

beforeAll(async () => {
  [engines, model] = await Promise.all([startEngines(), startModel()]);
  gateway = await startGateway({
    routes,
    taskRoot: TASK_ROOT,
    env: { ...engines.env, OPENAI_BASE_URL: model.url, POWERTOOLS_TRACE_ENABLED: "false" },
    timeoutMs: TIMEOUT_MS,
    log: (entry) => log.push(entry),
  });
  // Without the time of a cold start.
  await Promise.all([call("/v1/conversations"), start("warm", "warm up")]);
});
afterAll(async () => {
  await gateway.close();
  await Promise.all([engines.close(), model.close()]);
});

async function call(path: string, init: RequestInit = {}) {
  const startedAt = performance.now();
  const response = await fetch(`${gateway.url}${path}`, init);
  const json = (await response.json()) as Record<string, unknown>;
  return { status: response.status, headers: response.headers, json, ms: performance.now() - startedAt };
}

const start = (key: string, message: string) =>
  call("/v1/conversations", {
    method: "POST",
    headers: { "content-type": "application/json", "idempotency-key": key, "x-request-id": `request-${key}` },
    body: JSON.stringify({ message }),
  });

/** Whether a function wrote a line with all of these; lines arrive a moment after the answer. */
const written = (since: number, ...parts: string[]) =>
  expect.poll(() =>
    log
      .slice(since)
      .some((entry) => entry.type === "output" && parts.every((part) => entry.line.includes(part))),
  );

function expectDeadlineExceeded({ status, headers, json }: Awaited<ReturnType<typeof call>>): void {
  expect(status).toBe(408);
  expect(json).toEqual({ code: "deadline_exceeded", msg: expect.stringMatching(/./), meta: {} });
  expect(headers.get("retry-after")).toBe("1");
  expect(headers.get("x-content-type-options")).toBe("nosniff");
}

// The last word has 300 ms, which a machine that does much else may not give at once.
describe("a function answers before its own time is over", { retry: 2 }, () => {
  test("when the model hangs; and the same key completes the turn", async () => {
    const key = randomUUID();
    const lift = model.inject({ hang: true });
    const hung = await start(key, "hello?");
    lift();
    expectDeadlineExceeded(hung);
    expect(hung.headers.get("x-request-id")).toBe(`request-${key}`);
    expect(hung.ms).toBeLessThan(TIMEOUT_MS - 1_000);
    await written(0, `"request-${key}"`, '"status":408').toBe(true);

    const again = await start(key, "hello?");
    expect(again.status).toBe(201);
    const { json } = await call(`/v1/conversations/${again.json["conversation_id"]}`);
    const { messages } = json["conversation"] as { messages: { role: string }[] };
    expect(messages.map(({ role }) => role)).toEqual(["USER", "ASSISTANT"]);
  });

  test("when the store hangs, with its log line and its metrics", async () => {
    const lift = engines.storeEngine.inject({ kind: "hang", times: Number.POSITIVE_INFINITY });
    const before = log.length;
    const hung = await call("/v1/conversations", { headers: { "x-request-id": "request-store" } });
    lift();
    expectDeadlineExceeded(hung);
    expect(hung.ms).toBeLessThan(TIMEOUT_MS);
    await written(before, '"request-store"', '"status":408').toBe(true);
    await written(before, '"_aws"', '"RequestDuration":').toBe(true);
    // The instance was not ended for it.
    expect(log.slice(before).filter((entry) => entry.type === "failure")).toEqual([]);
    expect((await call("/v1/conversations")).status).toBe(200);
  });
});
