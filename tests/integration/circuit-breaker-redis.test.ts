import { setTimeout as sleep, setImmediate as turnOfTheLoop } from "node:timers/promises";
import { RedisCircuitStore } from "@parley/core/redis/circuit-store";
import { type Admission, CircuitBreaker } from "@parley/core/resilience/circuit-breaker";
import { beforeEach, describe, expect, test } from "vitest";
import {
  breakerSuite,
  endOf,
  fail,
  held,
  LONG,
  misuse,
  outcomeOf,
  SETTINGS,
  succeed,
} from "../support/breaker.ts";
import { enginesFor } from "../support/redis-engines.ts";
import { redisWorker } from "../support/redis-worker.ts";

describe.each(await enginesFor("the circuit breaker's requests"))("on %s", (engine) => {
  const suite = breakerSuite(engine);
  const { worker, open } = suite;

  async function requestsOf(work: () => Promise<unknown>): Promise<number> {
    const before = suite.redis.gateway.requests().count;
    await work();
    return suite.redis.gateway.requests().count - before;
  }

  describe("a reply that is lost after the command ran", () => {
    /** Loses the answer of the next request; the client's second attempt gets one. */
    async function losingOneReply<T>(work: () => Promise<T>): Promise<T> {
      const { count } = suite.redis.gateway.requests();
      suite.redis.gateway.fault = "cut";
      const running = work();
      while (suite.redis.gateway.requests().count === count) await turnOfTheLoop();
      suite.redis.gateway.fault = undefined;
      const value = await running;
      expect(suite.redis.gateway.requests().count - count).toBeGreaterThanOrEqual(2);
      return value;
    }

    test("counts a failure once", async () => {
      const { store, run } = worker();
      for (const attempt of ["one", "two"]) {
        const { generation } = (await store.acquire(attempt)) as Admission & { allowed: true };
        await losingOneReply(() => store.settle(attempt, generation, "failure"));
      }
      expect(await endOf(run(succeed))).toBe("ok");
      const { generation } = (await store.acquire("three")) as Admission & { allowed: true };
      await losingOneReply(() => store.settle("three", generation, "failure"));
      expect(await endOf(run(succeed))).toBe("refused");
    });

    test("grants the probe to who has it already, and to nobody else", async () => {
      await open({ cooldownMs: 100 });
      await sleep(120);
      const { store } = worker({ cooldownMs: 100 });
      expect(await losingOneReply(() => store.acquire("prober"))).toMatchObject({ state: "half_open" });
      expect(await store.acquire("other")).toMatchObject({ allowed: false, state: "half_open" });
    });

    test("closes and opens once", async () => {
      const cooldownMs = 300;
      await open({ cooldownMs });
      await sleep(cooldownMs + 20);
      const { store, run } = worker({ cooldownMs });
      const first = (await store.acquire("first")) as Admission & { allowed: true };
      await losingOneReply(() => store.settle("first", first.generation, "failure"));
      expect(await endOf(run(succeed))).toBe("refused");
      await sleep(cooldownMs + 20);
      const second = (await store.acquire("second")) as Admission & { allowed: true };
      expect(second).toMatchObject({ state: "half_open" });
      await losingOneReply(() => store.settle("second", second.generation, "ok"));
      const third = (await store.acquire("third")) as Admission & { allowed: true };
      expect(third).toMatchObject({ state: "closed" });
      expect(Number(third.generation)).toBe(Number(second.generation) + 1);
    });
  });

  describe("without Redis", () => {
    test.each(["refuse", "hang", "cut"] as const)(
      "%s: calls are made, and their results are theirs",
      async (fault) => {
        await open();
        suite.redis.gateway.fault = fault;
        const { redis, telemetry } = redisWorker(suite.redis.gateway, { timeoutMs: 60 });
        const store = new RedisCircuitStore({ redis, name: suite.dependency, settings: SETTINGS });
        const breaker = new CircuitBreaker({ name: suite.dependency, store, outcomeOf, telemetry });
        expect(await breaker.run(succeed)).toBe("fine");
        for (let call = 0; call < 5; call++) expect(await endOf(breaker.run(fail))).toBe("a failure error");
        expect(await breaker.run(succeed)).toBe("fine");
        expect(telemetry.total("RedisUnavailable")).toBe(1);
        expect(telemetry.warnings.map(({ message }) => message)).toContain(
          "circuit breaker state is unavailable: the call is admitted",
        );
      },
    );

    test("that fails during the call: the call's error is what the caller sees", async () => {
      const { run, telemetry } = worker();
      const call = held();
      const end = endOf(run(call.call));
      await call.begun;
      suite.redis.gateway.fault = "refuse";
      call.fail();
      expect(await end).toBe("a failure error");
      expect(telemetry.warnings.map(({ message }) => message)).toContain(
        "the circuit breaker could not record an outcome",
      );
    });
  });

  describe("requests to Redis", () => {
    beforeEach(async () => {
      // Redis has the script from here on.
      await worker().run(succeed);
    });

    test("one for a healthy call, one more for a failure", async () => {
      const { run } = worker();
      expect(await requestsOf(() => run(succeed))).toBe(1);
      expect(await requestsOf(() => endOf(run(misuse)))).toBe(1);
      expect(await requestsOf(() => endOf(run(fail)))).toBe(2);
    });

    test("two for a probe", async () => {
      await open({ cooldownMs: 100 });
      await sleep(120);
      const { run } = worker({ cooldownMs: 100 });
      expect(await requestsOf(() => run(succeed))).toBe(2);
      expect(await requestsOf(() => run(succeed))).toBe(1);
    });

    test("none while it is known to be open", async () => {
      const cooldownMs = 600;
      await open({ cooldownMs });
      const { run, telemetry } = worker({ cooldownMs });
      expect(await requestsOf(() => endOf(run(succeed)))).toBe(1);
      const more = Array.from({ length: 20 }, () => () => endOf(run(succeed)));
      expect(await requestsOf(() => Promise.all(more.map((ask) => ask())))).toBe(0);
      expect(telemetry.total("CircuitRejections")).toBe(21);
      await sleep(cooldownMs + 20);
      expect(await endOf(run(succeed))).toBe("ok");
    });

    test("its keys share a hash tag and end by themselves", async () => {
      await open();
      const { run } = worker({}, `${suite.dependency}-closed`);
      await endOf(run(fail));
      const state = `breaker:{${suite.dependency}}:state`;
      const failures = `breaker:{${suite.dependency}-closed}:failures`;
      const found = (await suite.redis.rest.result("KEYS", `breaker:{${suite.dependency}*`)) as string[];
      expect(found.toSorted()).toEqual([failures, state].toSorted());
      for (const key of found)
        expect(Number(await suite.redis.rest.result("PTTL", key))).toBeGreaterThan(LONG);
    });
  });
});
