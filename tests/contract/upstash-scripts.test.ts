import { createHash } from "node:crypto";
import { Redis } from "@upstash/redis";
import { beforeAll, describe, expect, test } from "vitest";
import { enginesFor } from "../support/redis-engines.ts";
import { upstashSuite } from "../support/upstash-suite.ts";

const sha1 = (script: string) => createHash("sha1").update(script).digest("hex");
const NOSCRIPT = "NOSCRIPT No matching script. Please use EVAL.";

// The shape of a circuit breaker's transition: Redis's own clock, a window of failures, numbers as text.
const RECORD_FAILURE = `
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now - tonumber(ARGV[2]))
redis.call('ZADD', KEYS[2], now, ARGV[1])
redis.call('PEXPIRE', KEYS[2], ARGV[2])
local failures = redis.call('ZCARD', KEYS[2])
if redis.call('HGET', KEYS[1], 'state') == 'open' then
  return {'open', 'already', string.format('%.0f', now)}
end
if failures < tonumber(ARGV[3]) then
  return {'closed', failures, string.format('%.0f', now)}
end
redis.call('HSET', KEYS[1], 'state', 'open', 'until', string.format('%.0f', now + 30000))
return {'open', 'now', string.format('%.0f', now)}
`;

describe.each(await enginesFor("scripts and @upstash/redis"))("scripts and the SDK on %s", (engine) => {
  const suite = upstashSuite(engine);
  let redis: Redis;

  beforeAll(() => {
    const { url, token } = suite.gateway;
    redis = new Redis({ url, token, enableTelemetry: false, enableAutoPipelining: false });
  });

  describe("scripts", () => {
    test("EVALSHA knows a script only once it was evaluated or loaded", async () => {
      const { key } = suite;
      const script = `return redis.call('GET', KEYS[1]) -- ${key}`;
      await suite.rest.command("SET", key, "v");
      expect(await suite.rest.command("EVALSHA", sha1(script), 1, key)).toMatchObject({
        status: 400,
        json: { error: NOSCRIPT },
      });
      expect(await suite.rest.result("EVAL", script, 1, key)).toBe("v");
      expect(await suite.rest.result("EVALSHA", sha1(script), 1, key)).toBe("v");
      const loaded = `return 'loaded' -- ${key}`;
      expect(await suite.rest.result("SCRIPT", "LOAD", loaded)).toBe(sha1(loaded));
      expect(await suite.rest.result("EVALSHA", sha1(loaded), 0)).toBe("loaded");
    });

    test("an error raised or returned by a script has status 400", async () => {
      const { key } = suite;
      await suite.rest.command("SET", key, "text");
      const returned = await suite.rest.command("EVAL", "return redis.error_reply('LIMIT reached')", 0);
      expect(returned).toMatchObject({ status: 400, json: { error: "LIMIT reached" } });
      const raised = await suite.rest.command("EVAL", "return redis.call('INCR', KEYS[1])", 1, key);
      expect(raised.status).toBe(400);
      expect(raised.text).toContain("ERR value is not an integer or out of range");
    });

    test.each(["\n", "\r\n"])(
      "Upstash's own shebang runs, under the client's SHA (line end %j)",
      async (newline) => {
        const { key } = suite;
        const script = `#!lua flags=allow-key-locking${newline}return {KEYS[1], ARGV[1]} -- ${key}`;
        const sha = sha1(script);
        expect(await suite.rest.result("SCRIPT", "EXISTS", sha, sha1("other"))).toEqual([0, 0]);
        expect(await suite.rest.command("EVALSHA", sha, 1, key, "a")).toMatchObject({
          status: 400,
          json: { error: NOSCRIPT },
        });
        expect(await suite.rest.result("EVAL", script, 1, key, "a")).toEqual([key, "a"]);
        expect(await suite.rest.result("evalsha", sha.toUpperCase(), 1, key, "b")).toEqual([key, "b"]);
        expect(await suite.rest.result("SCRIPT", "EXISTS", sha, sha1("other"))).toEqual([1, 0]);
        expect((await suite.rest.pipeline([["EVALSHA", sha, 1, key, "c"]])).json).toEqual([
          { result: [key, "c"] },
        ]);
        expect((await suite.rest.transaction([["EVALSHA", sha, 1, key, "d"]])).json).toEqual([
          { result: [key, "d"] },
        ]);
      },
    );

    test("Upstash's own shebang loads under the client's SHA, until it is flushed", async () => {
      const { key } = suite;
      const script = `#!lua flags=allow-key-locking\nreturn 'shebang' -- ${key}`;
      expect(await suite.rest.result("SCRIPT", "LOAD", script)).toBe(sha1(script));
      expect((await suite.rest.transaction([["SCRIPT", "LOAD", script]])).json).toEqual([
        { result: sha1(script) },
      ]);
      expect(await suite.rest.result("EVALSHA", sha1(script), 0)).toBe("shebang");
      expect(await suite.rest.result("SCRIPT", "FLUSH")).toBe("OK");
      expect(await suite.rest.command("EVALSHA", sha1(script), 0)).toMatchObject({
        json: { error: NOSCRIPT },
      });
    });

    test("a script decides alone: 50 rivals open one circuit once, by Redis's clock", async () => {
      const { key } = suite;
      const keys = [`{${key}}:state`, `{${key}}:failures`];
      const script = redis.createScript<[string, string | number, number]>(RECORD_FAILURE);
      const attempts = Array.from({ length: 50 }, (_, id) =>
        script.exec(keys, [`attempt-${id}`, "60000", "3"]),
      );
      const outcomes = await Promise.all(attempts);
      expect(
        outcomes
          .filter(([state]) => state === "closed")
          .map(([, count]) => count)
          .toSorted(),
      ).toEqual([1, 2]);
      expect(outcomes.filter(([, detail]) => detail === "now")).toHaveLength(1);
      expect(outcomes.filter(([, detail]) => detail === "already")).toHaveLength(47);
      for (const [, , now] of outcomes) expect(Math.abs(now - Date.now())).toBeLessThan(10_000);
      expect(await redis.zcard(keys[1]!)).toBe(50);
      expect(await redis.pttl(keys[1]!)).toBeGreaterThan(50_000);
    });
  });

  describe("@upstash/redis", () => {
    test("stores and reads values, objects and hashes", async () => {
      const { key } = suite;
      const value = { name: "Łódź 🌦", nested: [1, null, { ok: true }] };
      expect(await redis.set(key, value, { ex: 60 })).toBe("OK");
      expect(await redis.get(key)).toEqual(value);
      expect(await redis.set(key, "late", { nx: true })).toBeNull();
      expect(await redis.getex(key, { ex: 600 })).toEqual(value);
      expect(await redis.ttl(key)).toBeGreaterThan(500);
      expect(await redis.hset(`${key}:hash`, { a: "text", b: 2 })).toBe(2);
      expect(await redis.hgetall(`${key}:hash`)).toEqual({ a: "text", b: 2 });
      expect(await redis.mget(key, `${key}:none`)).toEqual([value, null]);
      expect(await redis.set(key, "OK")).toBe("OK");
      expect(await redis.get(key)).toBe("OK");
      expect(await redis.del(key)).toBe(1);
      expect(await redis.get(key)).toBeNull();
    });

    test("runs pipelines and transactions, each as one request", async () => {
      const { key } = suite;
      const before = suite.gateway.requests().count;
      const pipeline = redis.pipeline().set(key, 1).incr(key).hget(key, "f").get(key);
      const results = await pipeline.exec({ keepErrors: true });
      expect(results.map(({ result }) => result)).toEqual(["OK", 2, undefined, 2]);
      expect(results[2]?.error).toContain("WRONGTYPE");
      expect(await redis.multi().incr(key).incr(key).exec()).toEqual([3, 4]);
      expect(suite.gateway.requests().count - before).toBe(2);
    });

    test("throws errors as the gateway words them", async () => {
      const { key } = suite;
      await redis.set(key, "text");
      await expect(redis.incr(key)).rejects.toThrow("ERR value is not an integer or out of range");
      await expect(redis.exec(["SELECT", 1])).rejects.toThrow('ERR Command "SELECT" is not allowed in REST');
      const stranger = new Redis({ url: suite.gateway.url, token: "another", enableTelemetry: false });
      await expect(stranger.get(key)).rejects.toThrow("WRONGPASS");
    });
  });
});
