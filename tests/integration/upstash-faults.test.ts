import { Redis } from "@upstash/redis";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type RedisBackend, startRedisBackend } from "../../packages/local/src/upstash/backend.ts";
import { type Fault, startUpstash, type UpstashGateway } from "../../packages/local/src/upstash/server.ts";
import { restClient } from "../support/upstash-rest.ts";

let backend: RedisBackend;
let gateway: UpstashGateway;
let rest: ReturnType<typeof restClient>;

beforeEach(async () => {
  backend = await startRedisBackend({ engine: "embedded" });
  gateway = await startUpstash({ backend, token: "a-token" });
  rest = restClient(gateway);
});
afterEach(async () => {
  await gateway.close();
  await backend.close();
});

function sdk(options: { retries?: number; timeoutMs?: number }): Redis {
  const { retries = 0, timeoutMs = 5_000 } = options;
  return new Redis({
    url: gateway.url,
    token: gateway.token,
    enableTelemetry: false,
    retry: { retries, backoff: () => 10 },
    signal: () => AbortSignal.timeout(timeoutMs),
  });
}

test.each<Fault>(["refuse", "cut"])("%s breaks the connection, until the fault is lifted", async (fault) => {
  await rest.command("SET", "k", "v");
  gateway.fault = fault;
  await expect(rest.command("GET", "k")).rejects.toThrow("fetch failed");
  gateway.fault = undefined;
  expect(await rest.result("GET", "k")).toBe("v");
});

test("refuse runs nothing, cut runs the command and loses the answer", async () => {
  gateway.fault = "refuse";
  await expect(sdk({ retries: 2 }).incr("refused")).rejects.toThrow();
  gateway.fault = "cut";
  await expect(sdk({ retries: 2 }).incr("cut")).rejects.toThrow();
  gateway.fault = undefined;
  expect(await rest.result("MGET", "refused", "cut")).toEqual([null, "3"]);
});

test("hang answers only the client's own patience", async () => {
  gateway.fault = "hang";
  const startedAt = performance.now();
  await expect(sdk({ timeoutMs: 100 }).get("k")).rejects.toThrow(/timeout/i);
  expect(performance.now() - startedAt).toBeGreaterThan(90);
});

test("slow delays each request by its milliseconds", async () => {
  gateway.fault = "slow:120";
  const startedAt = performance.now();
  expect(await rest.result("PING")).toBe("PONG");
  expect(performance.now() - startedAt).toBeGreaterThanOrEqual(119);
});

test("stopped and started again, it serves the same data on the same port", async () => {
  const redis = sdk({});
  await redis.set("k", "v");
  const { url } = gateway;
  const before = gateway.requests();
  await gateway.stop();
  await expect(redis.get("k")).rejects.toThrow();
  await gateway.stop();
  await gateway.start();
  expect(gateway.url).toBe(url);
  expect(await redis.get("k")).toBe("v");
  expect(gateway.requests().count).toBe(before.count + 1);
});

test("a Redis that restarts has lost its data and is served on", async () => {
  await rest.command("SET", "k", "v");
  await backend.restart?.();
  expect(await rest.result("GET", "k")).toBeNull();
  expect(await rest.result("SET", "k", "new")).toBe("OK");
});

test("without the Redis behind it, every kind of request gets 503, and recovers with it", async () => {
  await rest.command("SET", "k", "v");
  await backend.close();
  const error = "ERR the Redis server behind this gateway is unreachable";
  for (let attempt = 0; attempt < 3; attempt += 1) {
    expect(await rest.command("GET", "k")).toMatchObject({ status: 503, json: { error } });
    expect(await rest.pipeline([["GET", "k"]])).toMatchObject({ status: 503, json: { error } });
    expect(await rest.transaction([["SET", "k", "x"]])).toMatchObject({ status: 503, json: { error } });
  }
  await backend.restart?.();
  expect(await rest.result("SET", "k", "back")).toBe("OK");
});

test("a port that is taken rejects, and close may be called twice", async () => {
  const port = Number(new URL(gateway.url).port);
  await expect(startUpstash({ backend, token: "a-token", port })).rejects.toThrow("EADDRINUSE");
  await gateway.close();
  await gateway.close();
});
