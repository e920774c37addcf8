import { randomUUID } from "node:crypto";
import { type CircuitSettings, RedisCircuitStore } from "@parley/core/redis/circuit-store";
import { CircuitBreaker, CircuitOpenError, type Outcome } from "@parley/core/resilience/circuit-breaker";
import { afterEach, beforeEach, expect } from "vitest";
import type { RedisEngine } from "./redis-engines.ts";
import { redisWorker } from "./redis-worker.ts";
import { upstashSuite } from "./upstash-suite.ts";

export const WORKERS = 50;
/** What does not end within a test. */
export const LONG = 3_600_000;
export const SETTINGS: CircuitSettings = {
  maxFailures: 3,
  windowMs: LONG,
  cooldownMs: LONG,
  leaseMs: LONG,
};

/** What the guarded call says of its dependency. */
class Trouble extends Error {
  readonly outcome: Outcome;
  constructor(outcome: Outcome) {
    super(`a ${outcome} error`);
    this.outcome = outcome;
  }
}
export const outcomeOf = (error: unknown) => (error instanceof Trouble ? error.outcome : "neutral");
export const fail = () => Promise.reject(new Trouble("failure"));
export const misuse = () => Promise.reject(new Trouble("neutral"));
export const succeed = () => Promise.resolve("fine");

/** A call that ends when the test says so. */
export function held() {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const begun = Promise.withResolvers<void>();
  return {
    call: () => {
      begun.resolve();
      return promise;
    },
    begun: begun.promise,
    succeed: () => resolve("late"),
    fail: () => reject(new Trouble("failure")),
  };
}

/** "ok", "refused", or the error's message. */
export async function endOf(run: Promise<unknown>): Promise<string> {
  return run.then(
    () => "ok",
    (error: unknown) => (error instanceof CircuitOpenError ? "refused" : (error as Error).message),
  );
}

/** Breakers of many instances on one Redis, a dependency of its own for each test. */
export function breakerSuite(engine: RedisEngine) {
  const redis = upstashSuite(engine);
  const suite = { redis, dependency: "", worker, workers, open };

  beforeEach(() => {
    suite.dependency = `service-${randomUUID()}`;
  });
  afterEach(() => {
    redis.gateway.fault = undefined;
  });

  /** One Lambda instance: a Redis client and a breaker of its own. */
  function worker(changed: Partial<CircuitSettings> = {}, name = suite.dependency) {
    const client = redisWorker(redis.gateway);
    const settings = { ...SETTINGS, ...changed };
    const store = new RedisCircuitStore({ redis: client.redis, name, settings });
    const breaker = new CircuitBreaker({ name, store, outcomeOf, telemetry: client.telemetry });
    return { store, telemetry: client.telemetry, run: <T>(call: () => Promise<T>) => breaker.run(call) };
  }

  function workers(changed: Partial<CircuitSettings> = {}) {
    return Array.from({ length: WORKERS }, () => worker(changed));
  }

  async function open(changed: Partial<CircuitSettings> = {}): Promise<void> {
    const { run, telemetry } = worker(changed);
    for (let failure = 0; failure < 3; failure++) await endOf(run(fail));
    expect(telemetry.total("CircuitOpened")).toBe(1);
  }

  return suite;
}
