import { randomUUID } from "node:crypto";
import { type CircuitSettings, RedisCircuitStore } from "@parley/core/redis/circuit-store";
import type { Admission, CircuitState, Outcome } from "@parley/core/resilience/circuit-breaker";
import { describe, expect, test } from "vitest";
import { fc } from "../support/property.ts";
import { enginesFor } from "../support/redis-engines.ts";
import { redisWorker } from "../support/redis-worker.ts";
import { upstashSuite } from "../support/upstash-suite.ts";

const LONG = 3_600_000;
/** Over at once or never within a test: so time cannot make the outcome uncertain. */
const time = fc.constantFrom(0, LONG);
const settings: fc.Arbitrary<CircuitSettings> = fc
  .record({ maxFailures: fc.integer({ min: 1, max: 4 }), windowMs: time, cooldownMs: time, leaseMs: time })
  // The state itself lives ten times as long as all of them together.
  .filter(({ windowMs, cooldownMs, leaseMs }) => windowMs + cooldownMs + leaseMs > 0);

type Command =
  | { op: "acquire"; attempt: number; times: number }
  | { op: "settle"; attempt: number; outcome: Outcome; times: number };

const times = fc.constantFrom(1, 1, 1, 2);
const attempt = fc.nat({ max: 5 });
const commands: fc.Arbitrary<Command[]> = fc.array(
  fc.oneof(
    fc.record({ op: fc.constant("acquire" as const), attempt, times }),
    fc.record({
      op: fc.constant("settle" as const),
      attempt,
      outcome: fc.constantFrom<Outcome>("ok", "failure", "failure", "failure", "neutral"),
      times,
    }),
  ),
  { minLength: 4, maxLength: 24 },
);

/** The contract of CircuitStore in memory. */
function reference({ maxFailures, windowMs, cooldownMs, leaseMs }: CircuitSettings) {
  let state: CircuitState = "closed";
  let generation = 0;
  let waiting = false;
  let probe: string | undefined;
  let failures = new Set<string>();

  function become(next: CircuitState, waits: boolean, prober?: string): CircuitState {
    state = next;
    generation += 1;
    waiting = waits;
    probe = prober;
    failures = new Set();
    return next;
  }

  return {
    acquire(attempt: string): Admission | { allowed: false; state: CircuitState } {
      const mine = state === "half_open" && probe === attempt;
      if (state !== "closed" && !mine) {
        if (waiting) return { allowed: false, state };
        become("half_open", leaseMs > 0, attempt);
      }
      return { allowed: true, state: state as "closed" | "half_open", generation: String(generation) };
    },
    settle(attempt: string, of: string, outcome: Outcome): CircuitState | undefined {
      if (of !== String(generation)) return undefined;
      if (state === "closed" && outcome === "failure") {
        if (windowMs === 0) failures.clear();
        failures.add(attempt);
        if (failures.size >= maxFailures) return become("open", cooldownMs > 0);
      } else if (state === "half_open" && probe === attempt) {
        if (outcome === "ok") return become("closed", false);
        if (outcome === "failure") return become("open", cooldownMs > 0);
        waiting = false;
        probe = undefined;
      }
      return undefined;
    },
  };
}

describe.each(await enginesFor("the circuit breaker's model"))("on %s", (engine) => {
  const suite = upstashSuite(engine);

  test("whatever is acquired, settled and repeated, it behaves as its contract says", async () => {
    const { redis } = redisWorker(suite.gateway);
    await fc.assert(
      fc.asyncProperty(settings, commands, async (chosen, script) => {
        const store = new RedisCircuitStore({ redis, name: randomUUID(), settings: chosen });
        const model = reference(chosen);
        const generations = new Map<number, string>();
        for (const command of script) {
          const id = `attempt-${command.attempt}`;
          for (let time = 0; time < command.times; time++) {
            if (command.op === "acquire") {
              const found = await store.acquire(id);
              expect(found).toMatchObject(model.acquire(id));
              if (found.allowed) generations.set(command.attempt, found.generation);
            } else {
              const generation = generations.get(command.attempt);
              if (generation === undefined) continue;
              const found = await store.settle(id, generation, command.outcome);
              expect(found).toBe(model.settle(id, generation, command.outcome));
            }
          }
        }
      }),
      { numRuns: 120 },
    );
  });
});
