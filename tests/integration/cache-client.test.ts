import { FastRedis, RedisUnavailableError } from "@parley/core/redis/client";
import { afterEach, describe, expect, test } from "vitest";
import { ManualClock } from "../support/manual-clock.ts";
import { RecordingTelemetry } from "../support/telemetry.ts";
import { upstashSuite } from "../support/upstash-suite.ts";

const suite = upstashSuite("embedded");
afterEach(() => {
  suite.gateway.fault = undefined;
});

function client(options: { timeoutMs?: number; pauseMs?: number } = {}) {
  const clock = new ManualClock();
  const telemetry = new RecordingTelemetry();
  const { url, token } = suite.gateway;
  return {
    redis: new FastRedis({ url, token, timeoutMs: 1_000, clock, telemetry, ...options }),
    clock,
    telemetry,
  };
}

const requests = () => suite.gateway.requests().count;

describe("values", () => {
  test.each(["123", "true", "null", "007", "1e5", '{"a":1}', "", "9007199254740993"])(
    "%j stays text",
    async (value) => {
      const { redis } = client();
      await redis.set(suite.key, value);
      expect(await redis.get(suite.key)).toBe(value);
    },
  );

  test("written in one tick are there in the next", async () => {
    const { redis } = client();
    const before = requests();
    await redis.set(suite.key, "a");
    expect(await redis.get(suite.key)).toBe("a");
    expect(requests() - before).toBe(2);
  });
});

describe("a Redis that does not answer", () => {
  test.each(["refuse", "cut", "hang"] as const)(
    "%s: fails within its time, and at once for a while",
    async (fault) => {
      suite.gateway.fault = fault;
      const { redis, clock, telemetry } = client({ timeoutMs: 400, pauseMs: 1_000 });
      const startedAt = performance.now();
      await expect(redis.get(suite.key)).rejects.toThrow(RedisUnavailableError);
      expect(performance.now() - startedAt).toBeLessThan(4_000);
      const before = requests();
      for (let command = 0; command < 10; command++) {
        await expect(redis.get(suite.key)).rejects.toThrow(RedisUnavailableError);
      }
      expect(requests()).toBe(before);
      expect(telemetry.total("RedisUnavailable")).toBe(1);

      suite.gateway.fault = undefined;
      await expect(redis.get(suite.key)).rejects.toThrow(RedisUnavailableError);
      clock.advance(1_000);
      expect(await redis.get(suite.key)).toBeNull();
    },
  );

  test("for a moment is asked a second time", async () => {
    const { redis, telemetry } = client();
    suite.gateway.fault = "refuse";
    const answer = redis.ping();
    setTimeout(() => {
      suite.gateway.fault = undefined;
    }, 5);
    expect(await answer).toBe("PONG");
    expect(telemetry.total("RedisUnavailable")).toBe(0);
  });
});

describe("a command that is wrong", () => {
  test("says so without repeating what was in it, and is no failure of Redis", async () => {
    const { redis, telemetry } = client();
    await redis.set(suite.key, "hunter2");
    const error = await redis
      .hset(suite.key, { field: "hunter2" })
      .catch((thrown: unknown) => thrown as Error);
    expect(String(error)).toContain("WRONGTYPE");
    expect(String(error)).not.toContain("hunter2");
    expect(telemetry.total("RedisUnavailable")).toBe(0);
    expect(await redis.get(suite.key)).toBe("hunter2");
  });
});
