import { Deadline } from "@parley/core/resilience/deadline";
import { retry } from "@parley/core/resilience/retry";
import { RetryBudget } from "@parley/core/resilience/retry-budget";
import { retryTransient, UpstreamError } from "@parley/core/resilience/upstream-error";
import { describe, expect, test } from "vitest";
import { ManualClock } from "../../support/manual-clock.ts";
import { fc } from "../../support/property.ts";
import { RecordingTelemetry } from "../../support/telemetry.ts";

const MINUTE_MS = 60_000;
const RESERVE = 3;

function dependency(reserve = RESERVE) {
  const clock = new ManualClock();
  const telemetry = new RecordingTelemetry();
  const budget = new RetryBudget({ dependency: "model", reserve, clock, telemetry });
  const log: { at: number; retry: boolean }[] = [];

  /** One call with all its retries, which waits for nothing; the nth attempt ends as `fails` says. */
  async function call(fails: (attempt: number) => boolean, maxRetries = 3): Promise<boolean> {
    let attempt = 0;
    const work = async () => {
      attempt += 1;
      log.push({ at: clock.now(), retry: attempt > 1 });
      if (fails(attempt)) throw new UpstreamError("down", { transient: true });
    };
    return retry(work, {
      policy: { maxRetries, baseMs: 500, capMs: 5_000 },
      deadline: new Deadline(MINUTE_MS, { clock }),
      verdict: retryTransient,
      budget,
      sleep: async () => {},
    }).then(
      () => true,
      () => false,
    );
  }
  return { clock, telemetry, budget, log, call };
}

const always = () => true;

/** First calls and retries in the minute that begins with each entry, and in the one that ends with each retry. */
function minutes(log: readonly { at: number; retry: boolean }[]) {
  const within = (from: number, before: number) => {
    const entries = log.filter(({ at }) => at >= from && at < before);
    const retries = entries.filter((entry) => entry.retry).length;
    return { calls: entries.length - retries, retries };
  };
  return {
    any: log.map(({ at }) => within(at, at + MINUTE_MS)),
    ending: log.flatMap((entry, index) => {
      if (!entry.retry) return [];
      // Of what happened at the very same moment only what came before.
      const before = log.slice(0, index + 1).filter(({ at }) => at > entry.at - MINUTE_MS);
      const retries = before.filter(({ retry: repeated }) => repeated).length;
      return [{ calls: before.length - retries, retries }];
    }),
  };
}

describe("a dependency that fails every call", () => {
  const gaps = fc.oneof(
    fc.constant(0),
    fc.integer({ min: 0, max: 400 }),
    fc.integer({ min: 0, max: 5_000 }),
    fc.integer({ min: 0, max: 3 * MINUTE_MS }),
  );

  test("is asked at most 1.1 times what it would be without retries, and the reserve, in any minute", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(gaps, { minLength: 1, maxLength: 300 }),
        fc.integer({ min: 0, max: 10 }),
        // Well for so many calls, before it is down.
        fc.nat({ max: 100 }),
        async (pauses, maxRetries, well) => {
          const { clock, call, log } = dependency(maxRetries);
          for (const [index, pause] of pauses.entries()) {
            clock.advance(pause);
            await call(() => index >= well, maxRetries);
          }
          const reserve = Math.max(1, maxRetries);
          const { any, ending } = minutes(log);
          for (const { calls, retries } of any)
            expect(calls + retries).toBeLessThanOrEqual(1.1 * calls + reserve);
          for (const { calls, retries } of ending)
            expect(retries).toBeLessThanOrEqual(Math.max(reserve, calls / 10));
        },
      ),
      { numRuns: 200 },
    );
  });

  test.each([
    [30, 33],
    [60, 66],
    [200, 220],
    [1_000, 1_100],
  ])("at %i calls a minute it has %i a minute, from the first minute on", async (rate, most) => {
    const { clock, call, log } = dependency();
    for (let nth = 0; nth < 3 * rate; nth++) {
      await call(always);
      clock.advance(MINUTE_MS / rate);
    }
    const { ending } = minutes(log);
    const start = log[0]!.at;
    for (let minute = 0; minute < 3; minute++) {
      const from = start + minute * MINUTE_MS - 1;
      const made = log.filter(({ at }) => at >= from && at < from + MINUTE_MS).length;
      expect(made).toBeLessThanOrEqual(most);
      expect(made).toBeGreaterThanOrEqual(rate);
    }
    expect(ending.length).toBeGreaterThan(0);
  });

  test("is not asked more for the many calls that went well just before", async () => {
    const { clock, call, log } = dependency();
    for (let nth = 0; nth < 1_000; nth++) await call(() => false);
    clock.advance(MINUTE_MS - 100);
    for (let nth = 0; nth < 20; nth++) {
      await call(always);
      clock.advance(4);
    }
    expect(log.length - 1_000).toBeLessThanOrEqual(1.1 * 20 + RESERVE);
  });

  test("counts what it refused", async () => {
    const { call, telemetry, log } = dependency();
    for (let nth = 0; nth < 5; nth++) await call(always);
    expect(log).toHaveLength(5 + RESERVE);
    expect(telemetry.counts.filter(({ metric }) => metric === "RetriesRefused")).toEqual(
      Array(4).fill({ metric: "RetriesRefused", value: 1, dimensions: { dependency: "model" } }),
    );
  });
});

describe("retries are made", () => {
  test("all of them by a lone request, and again after a quiet minute", async () => {
    const { clock, call, log } = dependency();
    for (let nth = 1; nth <= 4; nth++) {
      expect(await call((attempt) => attempt <= 3)).toBe(true);
      expect(log).toHaveLength(4 * nth);
      clock.advance(MINUTE_MS);
    }
  });

  test("whenever failures are rare: at one call in twenty none is refused", async () => {
    const { clock, call, telemetry } = dependency();
    for (let nth = 0; nth < 2_000; nth++) {
      expect(await call((attempt) => attempt === 1 && nth % 20 === 19)).toBe(true);
      clock.advance(200);
    }
    expect(telemetry.total("RetriesRefused")).toBe(0);
  });

  test("not by somebody who is to leave the last one", () => {
    const { budget } = dependency(1);
    expect(budget.withdraw(1)).toBe(false);
    expect(budget.withdraw()).toBe(true);
    expect(budget.withdraw()).toBe(false);
  });
});
