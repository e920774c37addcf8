import { setTimeout as sleep } from "node:timers/promises";
import { FastRedis } from "@parley/core/redis/client";
import { Limits } from "@parley/functions/http/limits";
import { type RedisBackend, startRedisBackend } from "@parley/local/upstash/backend";
import { startUpstash, type UpstashGateway } from "@parley/local/upstash/server";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { startEngines } from "../performance/engines.ts";
import {
  apiKeysOf,
  type FunctionAnswer,
  type Functions,
  loadFunctions,
  newSecret,
} from "../support/in-process.ts";
import { enginesFor } from "../support/redis-engines.ts";
import { RecordingTelemetry } from "../support/telemetry.ts";
import { restClient } from "../support/upstash-rest.ts";

const SETTINGS = { perSecond: 10, burst: 20 };
const HERE = "192.0.2.1";
const ELSEWHERE = "192.0.2.2";

/** What one instance of a function has: a client of its own, on the Redis of all. */
function instance(upstash: UpstashGateway, { settings = SETTINGS, timeoutMs = 2_000 } = {}) {
  const telemetry = new RecordingTelemetry();
  const redis = new FastRedis({ url: upstash.url, token: upstash.token, timeoutMs, pauseMs: 0, telemetry });
  return { telemetry, limits: new Limits({ redis, settings, telemetry }) };
}

describe.concurrent.each(await enginesFor("rate limits"))("limits on %s", (engine) => {
  let backend: RedisBackend;
  let upstash: UpstashGateway;

  beforeAll(async () => {
    backend = await startRedisBackend({ engine });
    upstash = await startUpstash({ backend, token: "test" });
  });
  afterAll(async () => {
    await upstash.close();
    await backend.close();
  });

  test("ten workers at 30 a second let 10 a second and a burst of 20 through, one request each", async ({
    expect,
  }) => {
    const workers = Array.from({ length: 10 }, () => instance(upstash));
    // The script is Redis's from now on.
    await workers[0]!.limits.request("somebody else", HERE);
    const before = upstash.requests().count;
    const answers = await Promise.all(
      Array.from({ length: 300 }, async (_, i) => {
        await sleep((i * 1_000) / 30);
        return workers[i % workers.length]!.limits.request("key", HERE);
      }),
    );
    expect(upstash.requests().count - before).toBe(300);
    const allowed = answers.filter(({ retryAfterS }) => retryAfterS === undefined).length;
    expect(allowed).toBeGreaterThanOrEqual(120 * 0.95);
    expect(allowed).toBeLessThanOrEqual(120 * 1.05);
    expect(workers.reduce((sum, { telemetry }) => sum + telemetry.total("RateLimited"), 0)).toBe(
      300 - allowed,
    );
  });
});

describe("limits and Redis", () => {
  let backend: RedisBackend;
  let upstash: UpstashGateway;

  beforeEach(async () => {
    backend = await startRedisBackend();
    upstash = await startUpstash({ backend, token: "test" });
  });
  afterEach(async () => {
    await upstash.close();
    await backend.close();
  });

  test.each([
    { perSecond: 1, burst: 1 },
    { perSecond: 7, burst: 3 },
    { perSecond: 400, burst: 5 },
    { perSecond: 1_000_000, burst: 2 },
  ])("any whole number of requests a second is a bucket: %j", async (settings) => {
    const { limits } = instance(upstash, { settings });
    const taken = await Promise.all(
      Array.from({ length: settings.burst }, () => limits.request("key", HERE)),
    );
    for (const { headers, retryAfterS } of taken) {
      expect(retryAfterS).toBeUndefined();
      expect(headers["x-ratelimit-limit"]).toBe(String(settings.burst));
    }
  });

  test("a bucket that is not used disappears", async () => {
    const { limits } = instance(upstash);
    for (let i = 0; i < 25; i++) await limits.request("key", HERE);
    for (let i = 0; i < 6; i++) await limits.failedAuthentication(HERE);
    const rest = restClient(upstash);
    const keys = (await rest.result("KEYS", "*")) as string[];
    expect(keys).toHaveLength(2);
    for (const key of keys) {
      const ttl = Number(await rest.result("PTTL", key));
      expect(ttl).toBeGreaterThan(0);
      expect(ttl).toBeLessThanOrEqual(30_000);
    }
  });

  test("an owner's name and an address cannot add up to another pair's bucket", async () => {
    const { limits } = instance(upstash, { settings: { perSecond: 1, burst: 1 } });
    const pairs = [
      ["a", "b:c"],
      ["a:b", "c"],
      ["", "a:b:c"],
      ["a%3Ab", "c"],
      ["a", "::1"],
      ["a:", ":1"],
    ] as const;
    for (const [owner, address] of pairs) {
      expect((await limits.request(owner, address)).retryAfterS).toBeUndefined();
      expect((await limits.request(owner, address)).retryAfterS).toBe(1);
    }
  });

  test.each(["refuse", "hang", "cut"] as const)(
    "a Redis that does %s: everybody is let through, and counted",
    async (fault) => {
      const { limits, telemetry } = instance(upstash, { timeoutMs: 100 });
      upstash.fault = fault;
      const startedAt = performance.now();
      expect(await limits.request("key", HERE)).toEqual({ headers: {}, retryAfterS: undefined });
      expect(await limits.failedAuthentication(HERE)).toEqual({ headers: {}, retryAfterS: undefined });
      expect(performance.now() - startedAt).toBeLessThan(1_000);
      expect(telemetry.total("RateLimitUnavailable")).toBe(2);
      expect(telemetry.total("RateLimited")).toBe(0);
      upstash.fault = undefined;
      await expect
        .poll(async () => (await limits.request("key", HERE)).headers)
        .toHaveProperty("x-ratelimit-limit");
    },
  );
});

describe("the API", () => {
  const ada = newSecret("ada");
  const bob = newSecret("bob");
  let engines: Awaited<ReturnType<typeof startEngines>>;
  let functions: Functions;

  beforeEach(async () => {
    engines = await startEngines();
    const { AUTH_MODE: _, ...env } = engines.env;
    const limits = { API_RATE_LIMIT_RPS: `${SETTINGS.perSecond}`, API_RATE_LIMIT_BURST: `${SETTINGS.burst}` };
    functions = loadFunctions({ ...env, ...limits, API_KEYS: apiKeysOf(ada, bob) });
  });
  afterEach(async () => {
    functions.close();
    await engines.close();
  });

  const list = (key: string | undefined, from = HERE, headers: Record<string, string> = {}) =>
    functions.ask({
      target: "/v1/conversations",
      from,
      headers: { ...headers, ...(key === undefined ? {} : { "x-api-key": key }) },
    });
  const often = (times: number, ask: (i: number) => Promise<FunctionAnswer>) =>
    Promise.all(Array.from({ length: times }, (_, i) => ask(i)));
  const statuses = (answers: readonly FunctionAnswer[]) => answers.map(({ status }) => status);
  /** The sum of a metric over what the functions wrote. */
  const metric = (name: string) =>
    functions.output.reduce((sum, line) => {
      const { _aws, [name]: value } = JSON.parse(line) as Record<string, unknown>;
      return _aws === undefined ? sum : sum + [value ?? 0].flat().reduce((a: number, b) => a + Number(b), 0);
    }, 0);

  test("past the burst: 429, when to come back, and nobody else is touched", async () => {
    const first = await list(ada.secret);
    expect(first).toMatchObject({
      status: 200,
      headers: { "x-ratelimit-limit": "20", "x-ratelimit-remaining": "19", "x-ratelimit-reset": "1" },
    });
    // Another address in a header is no other address.
    const answers = await often(100, (i) => list(ada.secret, HERE, { "x-forwarded-for": `203.0.113.${i}` }));
    const refused = answers.filter(({ status }) => status === 429);
    expect(refused.length).toBeGreaterThan(10);
    expect(answers.length - refused.length).toBeGreaterThanOrEqual(19);
    for (const { headers, json } of refused) {
      expect(json).toEqual({ code: "resource_exhausted", msg: expect.stringMatching(/./), meta: {} });
      expect(headers).toMatchObject({
        "content-type": "application/json",
        "retry-after": "1",
        "x-ratelimit-limit": "20",
        "x-ratelimit-remaining": "0",
        "x-ratelimit-reset": "1",
        "x-content-type-options": "nosniff",
      });
    }
    expect(metric("RateLimited")).toBe(refused.length);
    expect((await list(bob.secret)).status).toBe(200);
    expect((await list(ada.secret, ELSEWHERE)).headers["x-ratelimit-remaining"]).toBe("19");
    // The documented wait is long enough.
    await sleep(1_000 * Number(refused[0]!.headers["retry-after"]));
    expect((await list(ada.secret)).status).toBe(200);
  });

  test("all routes and encodings take from one bucket, also what is refused further in", async () => {
    const headers = { "x-api-key": ada.secret };
    const json = { ...headers, "content-type": "application/json" };
    const id = "conv_01m81xesxph6nrc2e9qzxpy9wx";
    const twirp = (method: string, type: string) => ({
      method: "POST",
      target: `/twirp/acai.chat.ChatService/${method}`,
      headers: { ...headers, "content-type": type },
      body: type === "application/json" ? "{}" : "",
    });
    const requests = [
      { target: `/v1/conversations/${id}`, headers },
      { target: `/v1/conversations/${id}/export`, headers },
      { method: "DELETE", target: `/v1/conversations/${id}`, headers },
      { target: "/v1/conversations?page_size=0.5", headers },
      { method: "POST", target: "/v1/conversations", headers: json, body: "{" },
      { method: "POST", target: "/v1/messages", headers: json, body: "{}" },
      { method: "POST", target: `/v1/conversations/${id}/messages`, headers: json, body: "[]" },
      ...["StartConversation", "ContinueConversation", "ListConversations", "DescribeConversation"].flatMap(
        (method) => [twirp(method, "application/json"), twirp(method, "application/protobuf")],
      ),
    ];
    for (const [i, request] of requests.entries()) {
      const { headers, status } = await functions.ask(request);
      expect(status).not.toBe(429);
      // It refills by one every 100 ms.
      expect(Number(headers["x-ratelimit-remaining"])).toBeLessThanOrEqual(20 - 1);
      if (i === 0) await often(30, () => list(ada.secret, ELSEWHERE));
    }
    const refused = await often(100, () => functions.ask(requests.at(-1)!));
    expect(statuses(refused)).toContain(429);
    const { headers: last, json: body } = refused.find(({ status }) => status === 429)!;
    // Twirp's errors are JSON in every encoding.
    expect(last["content-type"]).toBe("application/json");
    expect(body).toMatchObject({ code: "resource_exhausted" });
  });

  test("what asks nobody has no limit", async () => {
    const answers = await often(40, (i) =>
      functions.ask({ target: ["/health", "/docs", "/nothing"][i % 3]!, from: HERE }),
    );
    expect(statuses(answers)).not.toContain(429);
  });

  test("failed authentication has a tighter limit of its own, by address", async () => {
    const wrong = (i: number) => [undefined, "", "pk_wrong", ada.secret.slice(1)][i % 4];
    const answers = await often(12, (i) => list(wrong(i), HERE, { "x-forwarded-for": `203.0.113.${i}` }));
    expect(statuses(answers).filter((status) => status === 401)).toHaveLength(5);
    const refused = answers.filter(({ status }) => status === 429);
    expect(refused).toHaveLength(7);
    for (const { headers, json } of refused) {
      expect(json).toMatchObject({ code: "resource_exhausted" });
      expect(Number(headers["retry-after"])).toBeGreaterThanOrEqual(1);
      expect(Number(headers["retry-after"])).toBeLessThanOrEqual(6);
    }
    expect(metric("AuthenticationFailures")).toBe(12);
    expect((await list("pk_wrong", ELSEWHERE)).status).toBe(401);
    // Who has a key is not shut out by a neighbour who has none.
    const known = await list(ada.secret);
    expect(known).toMatchObject({ status: 200, headers: { "x-ratelimit-remaining": "19" } });
  });

  test("without Redis the API answers, without limits, and says so in a metric", async () => {
    await engines.upstash.stop();
    const answers = await often(30, () => list(ada.secret));
    expect(new Set(statuses(answers))).toEqual(new Set([200]));
    for (const { headers } of answers) expect(headers).not.toHaveProperty("x-ratelimit-limit");
    expect(metric("RateLimitUnavailable")).toBe(30);
    expect((await list("pk_wrong")).status).toBe(401);
    expect(metric("RateLimitUnavailable")).toBe(31);
  });
});
