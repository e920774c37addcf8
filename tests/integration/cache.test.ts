import { setTimeout as sleep } from "node:timers/promises";
import { Cache } from "@parley/core/redis/cache";
import { type ReadThroughOptions, readThrough } from "@parley/core/redis/read-through";
import { Deadline } from "@parley/core/resilience/deadline";
import * as z from "@parley/core/schema";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { MovableClock } from "../support/clock.ts";
import { fc } from "../support/property.ts";
import { enginesFor } from "../support/redis-engines.ts";
import { redisWorker } from "../support/redis-worker.ts";
import { upstashSuite } from "../support/upstash-suite.ts";

const FRESH_MS = 60_000;
const STALE_MS = 600_000;

describe.each(await enginesFor("the cache"))("on %s", (engine) => {
  const suite = upstashSuite(engine);
  let clock: MovableClock;

  beforeEach(() => {
    clock = new MovableClock();
  });
  afterEach(() => {
    suite.gateway.fault = undefined;
  });

  /** One Lambda instance's cache of strings. */
  function instance() {
    const { redis, telemetry } = redisWorker(suite.gateway, { clock });
    return { cache: new Cache({ redis, schema: z.string(), clock }), telemetry };
  }

  const lock = async (key: string, holder: string, leaseMs = 60_000) =>
    (await instance().cache.claim(key, holder, leaseMs)).granted;

  const ttlOf = async (key: string) => Number(await suite.rest.result("PTTL", key));

  describe("values", () => {
    test("come back with their age", async () => {
      await instance().cache.write(suite.key, "a value");
      clock.advance(90_000);
      const found = await instance().cache.read(suite.key);
      expect(found?.value).toBe("a value");
      expect(found?.ageMs).toBeGreaterThanOrEqual(90_000);
      expect(found?.ageMs).toBeLessThan(95_000);
      expect(await instance().cache.read(`${suite.key}-other`)).toBeUndefined();
    });

    test("are what was stored, whatever it was", async () => {
      const { cache } = instance();
      const text = fc.oneof(fc.string({ unit: "binary" }), fc.constantFrom("123", "true", "null", "{}", ""));
      await fc.assert(
        fc.asyncProperty(text, async (value) => {
          await cache.write(suite.key, value);
          expect((await cache.read(suite.key))?.value).toBe(value);
        }),
        { numRuns: 50 },
      );
    });

    test("end by themselves when told to, and stay for good otherwise", async () => {
      const { cache } = instance();
      await cache.write(suite.key, "a value", { ttlMs: 60_000 });
      expect(await ttlOf(suite.key)).toBeGreaterThan(30_000);
      expect(await ttlOf(suite.key)).toBeLessThanOrEqual(60_000);
      await cache.write(suite.key, "a value");
      expect(await ttlOf(suite.key)).toBe(-1);
    });

    test("of another shape are a miss", async () => {
      for (const text of [
        "",
        "x",
        "1",
        "null",
        "[]",
        '{"value":"a"}',
        '{"at":1,"value":2}',
        '{"at":"1","value":"a"}',
      ]) {
        await suite.rest.command("SET", suite.key, text);
        expect(await instance().cache.read(suite.key), text).toBeUndefined();
      }
    });

    test("from an instance whose clock is ahead are new", async () => {
      const value = JSON.stringify({ at: clock.now() + 60_000, value: "a value" });
      await suite.rest.command("SET", suite.key, value);
      expect(await instance().cache.read(suite.key)).toEqual({ value: "a value", ageMs: 0 });
    });
  });

  describe("the lock", () => {
    test("is one holder's, who may ask again", async () => {
      expect(await lock(suite.key, "one")).toBe(true);
      expect(await lock(suite.key, "other")).toBe(false);
      expect(await lock(suite.key, "one")).toBe(true);
    });

    test("of fifty rivals goes to one", async () => {
      const rivals = Array.from({ length: 50 }, (_, rival) => lock(suite.key, `rival ${rival}`));
      expect((await Promise.all(rivals)).filter(Boolean)).toHaveLength(1);
    });

    test("comes with what is stored, in one request", async () => {
      const { cache } = instance();
      expect(await cache.claim(suite.key, "one", 5_000)).toEqual({ granted: true, entry: undefined });
      await cache.write(suite.key, "a value");
      const before = suite.gateway.requests().count;
      expect(await cache.claim(suite.key, "other", 5_000)).toMatchObject({
        granted: false,
        entry: { value: "a value" },
      });
      expect(suite.gateway.requests().count - before).toBe(1);
    });

    test("is freed by its holder only", async () => {
      const { cache } = instance();
      await lock(suite.key, "one");
      await cache.unlock(suite.key, "other");
      await cache.write(suite.key, "a value", { holder: "other" });
      expect(await lock(suite.key, "third")).toBe(false);
      await cache.unlock(suite.key, "one");
      expect(await lock(suite.key, "third")).toBe(true);
    });

    test("is freed with the value that was asked for, in one request", async () => {
      const { cache } = instance();
      await lock(suite.key, "one");
      const before = suite.gateway.requests().count;
      await cache.write(suite.key, "a value", { holder: "one" });
      expect(suite.gateway.requests().count - before).toBe(1);
      expect(await lock(suite.key, "other")).toBe(true);
    });

    test("ends by itself", async () => {
      await lock(suite.key, "one", 150);
      await sleep(170);
      expect(await lock(suite.key, "other")).toBe(true);
    });
  });

  test("without Redis reads miss, writes are dropped and every lock is granted", async () => {
    suite.gateway.fault = "refuse";
    const { cache, telemetry } = instance();
    expect(await cache.read(suite.key)).toBeUndefined();
    await cache.write(suite.key, "a value", { holder: "one" });
    expect(await cache.claim(suite.key, "one", 5_000)).toEqual({ granted: true, entry: undefined });
    expect(await cache.claim(suite.key, "other", 5_000)).toEqual({ granted: true, entry: undefined });
    await cache.unlock(suite.key, "one");
    expect(telemetry.total("RedisUnavailable")).toBe(1);
  });

  describe("read through", () => {
    let loads: number;
    let source: () => Promise<string>;

    beforeEach(() => {
      loads = 0;
      source = async () => `value ${loads}`;
    });

    function read(changed: Partial<ReadThroughOptions<string>> & { on?: ReturnType<typeof instance> } = {}) {
      const { on = instance(), ...options } = changed;
      const result = readThrough({
        cache: on.cache,
        key: suite.key,
        freshMs: FRESH_MS,
        staleMs: STALE_MS,
        lockMs: 60_000,
        load: () => {
          loads += 1;
          return source();
        },
        isFinal: (error) => (error as Error).message === "final",
        deadline: new Deadline(10_000, { clock }),
        telemetry: on.telemetry,
        name: "holidays",
        ...options,
      });
      return result.catch((error: Error & { code?: string }) => `failed: ${error.code ?? error.message}`);
    }

    test("asks the source once for as long as its answer is fresh", async () => {
      const worker = instance();
      expect(await read({ on: worker })).toEqual({ value: "value 1", ageMs: 0, stale: false });
      expect(await read({ on: worker })).toMatchObject({ value: "value 1", stale: false });
      clock.advance(FRESH_MS);
      expect(await read({ on: worker })).toEqual({ value: "value 2", ageMs: 0, stale: false });
      expect(worker.telemetry.total("CacheHits")).toBe(1);
      expect(worker.telemetry.total("CacheMisses")).toBe(2);
    });

    test("fifty who miss at once make one request, and all get its answer", async () => {
      source = async () => {
        await sleep(250);
        return `value ${loads}`;
      };
      const found = await Promise.all(Array.from({ length: 50 }, () => read()));
      expect(loads).toBe(1);
      for (const each of found) expect(each).toMatchObject({ value: "value 1", stale: false });
    });

    test("who missed just before the answer was stored takes that", async () => {
      await instance().cache.write(suite.key, "stored");
      const worker = instance();
      worker.cache.read = async () => undefined;
      expect(await read({ on: worker })).toMatchObject({ value: "stored", stale: false });
      expect(loads).toBe(0);
      expect(await lock(suite.key, "next")).toBe(true);
    });

    test("who waits has the answer as soon as it is stored", async () => {
      await lock(suite.key, "first");
      const before = suite.gateway.requests().count;
      const waiting = read();
      await expect.poll(() => suite.gateway.requests().count - before).toBeGreaterThanOrEqual(2);
      await instance().cache.write(suite.key, "stored");
      expect(await waiting).toMatchObject({ value: "stored", stale: false });
      expect(loads).toBe(0);
    });

    test("while one refreshes, the others have the stale value at once", async () => {
      await read();
      clock.advance(FRESH_MS);
      const { promise, resolve } = Promise.withResolvers<string>();
      source = () => promise;
      const refreshing = read();
      await expect.poll(() => loads).toBe(2);
      const others = await Promise.all(Array.from({ length: 10 }, () => read()));
      for (const other of others) expect(other).toMatchObject({ value: "value 1", stale: true });
      resolve("new");
      expect(await refreshing).toMatchObject({ value: "new", stale: false });
      expect(loads).toBe(2);
    });

    test("a source that fails leaves the stale value, with its age, until that is too old", async () => {
      await read();
      source = () => Promise.reject(new Error("down"));
      clock.advance(STALE_MS - 5_000);
      const worker = instance();
      const found = await read({ on: worker });
      expect(found).toMatchObject({ value: "value 1", stale: true });
      expect((found as { ageMs: number }).ageMs).toBeGreaterThanOrEqual(STALE_MS - 5_000);
      expect(worker.telemetry.total("CacheStale")).toBe(1);
      clock.advance(5_000);
      expect(await read()).toBe("failed: down");
    });

    test("with nothing in the cache the failure is the caller's, and the lock the next one's", async () => {
      source = () => Promise.reject(new Error("down"));
      expect(await read()).toBe("failed: down");
      source = async () => "up";
      expect(await read()).toMatchObject({ value: "up" });
    });

    test("a final failure is told although a stale value is there", async () => {
      await read();
      clock.advance(FRESH_MS);
      source = () => Promise.reject(new Error("final"));
      expect(await read()).toBe("failed: final");
    });

    test("the source knows whether it is the last resort", async () => {
      const last: boolean[] = [];
      const load = async (lastResort: boolean) => {
        last.push(lastResort);
        return "a value";
      };
      await read({ load });
      clock.advance(FRESH_MS);
      await read({ load });
      clock.advance(STALE_MS);
      await read({ load });
      expect(last).toEqual([true, false, true]);
    });

    test("who waits for a failing one goes next", async () => {
      source = async () => {
        await sleep(150);
        if (loads === 1) throw new Error("down");
        return "up";
      };
      const found = await Promise.all(Array.from({ length: 10 }, () => read()));
      expect(found.filter((each) => each === "failed: down")).toHaveLength(1);
      expect(found.filter((each) => typeof each === "object" && each.value === "up")).toHaveLength(9);
      expect(loads).toBe(2);
    });

    test("a holder that dies leaves the lock to one other", async () => {
      await lock(suite.key, "dead", 400);
      source = async () => {
        await sleep(150);
        return "a value";
      };
      const startedAt = performance.now();
      const found = await Promise.all(Array.from({ length: 10 }, () => read()));
      expect(performance.now() - startedAt).toBeGreaterThan(350);
      expect(loads).toBe(1);
      for (const each of found) expect(each).toMatchObject({ value: "a value", stale: false });
    });

    test("who waits does so within its own time", async () => {
      await lock(suite.key, "slow");
      const startedAt = performance.now();
      expect(await read({ deadline: new Deadline(250) })).toBe("failed: deadline_exceeded");
      expect(performance.now() - startedAt).toBeLessThan(4_000);
      expect(loads).toBe(0);
    });

    test("without Redis everybody asks the source", async () => {
      suite.gateway.fault = "refuse";
      const worker = instance();
      expect(await read({ on: worker })).toMatchObject({ value: "value 1", stale: false });
      expect(await read({ on: worker })).toMatchObject({ value: "value 2", stale: false });
    });

    test("Redis that goes away during the load costs nothing but the cache", async () => {
      source = async () => {
        suite.gateway.fault = "refuse";
        return "a value";
      };
      expect(await read()).toMatchObject({ value: "a value", stale: false });
    });
  });
});
