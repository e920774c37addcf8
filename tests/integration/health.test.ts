import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { startEngines } from "../performance/engines.ts";
import { type FunctionAnswer, type Functions, loadFunctions } from "../support/in-process.ts";

const FOREVER = Number.POSITIVE_INFINITY;

let functions: Functions | undefined;
const closing: (() => Promise<void>)[] = [];

afterEach(async () => {
  functions?.close();
  functions = undefined;
  for (const close of closing.splice(0)) await close();
});

function load(env: Record<string, string>): Functions {
  functions = loadFunctions(env);
  return functions;
}

describe("GET /health", () => {
  test("tells version and region, without a key, a setting or a service", async () => {
    const { ask } = load({ PARLEY_VERSION: "1.2.3", AWS_REGION: "eu-west-1", API_KEYS: "", AUTH_MODE: "" });
    const { status, headers, json } = await ask({ target: "/health" });
    expect(status).toBe(200);
    expect(headers["content-type"]).toBe("application/json");
    expect(json).toEqual({ status: "ok", version: "1.2.3", region: "eu-west-1" });
  });

  test("asks nobody", async () => {
    const engines = await startEngines();
    closing.push(engines.close);
    const { ask } = load(engines.env);
    const before = [engines.storeEngine.requests().count, engines.upstash.requests().count];
    expect((await ask({ target: "/health", headers: { origin: "https://app.example" } })).status).toBe(200);
    expect([engines.storeEngine.requests().count, engines.upstash.requests().count]).toEqual(before);
  });
});

describe("GET /ready", () => {
  let engines: Awaited<ReturnType<typeof startEngines>>;
  let ask: Functions["ask"];

  beforeEach(async () => {
    engines = await startEngines();
    closing.push(engines.close);
    // It is asked by monitors, which have no key.
    const { AUTH_MODE: _, ...env } = engines.env;
    ({ ask } = load({ ...env, API_KEYS: `nobody:${"0".repeat(64)}` }));
  });

  async function ready(): Promise<FunctionAnswer & { ms: number }> {
    const startedAt = performance.now();
    const answer = await ask({ target: "/ready" });
    const ms = performance.now() - startedAt;
    for (const secret of [engines.storeEngine.url, engines.upstash.url, engines.upstash.token, "127.0.0.1"]) {
      expect(answer.text).not.toContain(secret);
    }
    return { ...answer, ms };
  }

  const state = (ok: boolean) => ({ ok, latency_ms: expect.any(Number) });

  test("asks each service once and tells its latency", async () => {
    await ready();
    const before = [engines.storeEngine.requests().count, engines.upstash.requests().count];
    const { status, headers, json } = await ready();
    expect(status).toBe(200);
    expect(headers).not.toHaveProperty("retry-after");
    expect(json).toEqual({ status: "ok", store: state(true), redis: state(true) });
    expect(engines.storeEngine.requests().count).toBe(before[0]! + 1);
    expect(engines.upstash.requests().count).toBe(before[1]! + 1);
  });

  test("is degraded while only Redis is gone, and then ok again", async () => {
    await engines.upstash.stop();
    const { status, json } = await ready();
    expect(status).toBe(200);
    expect(json).toEqual({ status: "degraded", store: state(true), redis: state(false) });
    await engines.upstash.start();
    await expect.poll(async () => (await ready()).json, { timeout: 5_000 }).toMatchObject({ status: "ok" });
  });

  test.each(["error", "throttle", "drop-before"] as const)("is 503 while the store has %s", async (kind) => {
    const lift = engines.storeEngine.inject({ kind, times: FOREVER });
    const { status, headers, json, ms } = await ready();
    expect(status).toBe(503);
    expect(Number(headers["retry-after"])).toBeGreaterThan(0);
    expect(json).toEqual({ status: "unavailable", store: state(false), redis: state(true) });
    expect(ms).toBeLessThan(3_000);
    lift();
    expect((await ready()).json).toMatchObject({ status: "ok" });
  });

  test("is 503 within 3 s when both hang", async () => {
    engines.upstash.fault = "hang";
    const lift = engines.storeEngine.inject({ kind: "hang", times: FOREVER });
    const { status, json, ms } = await ready();
    expect(status).toBe(503);
    expect(json).toEqual({ status: "unavailable", store: state(false), redis: state(false) });
    expect(ms).toBeLessThan(3_000);
    engines.upstash.fault = undefined;
    lift();
  });

  test("is degraded within 3 s when only Redis hangs", async () => {
    engines.upstash.fault = "hang";
    const { status, json, ms } = await ready();
    expect(status).toBe(200);
    expect(json).toMatchObject({ status: "degraded", redis: { ok: false } });
    expect(ms).toBeLessThan(3_000);
  });
});
