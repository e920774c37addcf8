import { AppError } from "@parley/core/error";
import { Deadline } from "@parley/core/resilience/deadline";
import { backoff, type RetryPolicy, retry } from "@parley/core/resilience/retry";
import { retryTransient, UpstreamError } from "@parley/core/resilience/upstream-error";
import { describe, expect, test } from "vitest";
import { ManualClock } from "../../support/manual-clock.ts";
import { fc } from "../../support/property.ts";
import { seededRandom } from "../../support/random.ts";

/** The defaults of the settings. */
const POLICY: RetryPolicy = { maxRetries: 3, baseMs: 500, capMs: 5_000 };
const WINDOWS = [
  [500, 1_500],
  [1_000, 3_000],
  [2_000, 5_000],
] as const;

const transient = (retryAfterMs?: number) => new UpstreamError("busy", { transient: true, retryAfterMs });
const again = () => ({});
const budget = { deposit: () => {}, withdraw: () => true };

/** What `retry` does with work that always fails, on a clock that stands still but for its sleeps. */
async function exhaust(options: {
  error?: Error;
  random?: () => number;
  deadlineMs?: number;
  policy?: RetryPolicy;
}): Promise<{ waits: number[]; attempts: number; error: unknown; announced: [number, number][] }> {
  const clock = new ManualClock();
  const waits: number[] = [];
  const announced: [number, number][] = [];
  let attempts = 0;
  const failure = options.error ?? transient();
  const error = await retry(
    async () => {
      attempts += 1;
      throw failure;
    },
    {
      policy: options.policy ?? POLICY,
      deadline: new Deadline(options.deadlineMs ?? 60_000, { clock }),
      verdict: retryTransient,
      budget,
      random: options.random ?? seededRandom(1),
      sleep: (ms) => {
        waits.push(ms);
        return clock.sleep(ms);
      },
      onRetry: (attempt, waitMs) => announced.push([attempt, waitMs]),
    },
  ).catch((thrown: unknown) => thrown);
  return { waits, attempts, error, announced };
}

describe("the waits", () => {
  test("fill the windows 0.5-1.5 s, 1-3 s and 2-5 s evenly", async () => {
    const random = seededRandom(20_261_122);
    const runs = 4_000;
    const waits: number[][] = [[], [], []];
    for (let run = 0; run < runs; run++) {
      const found = await exhaust({ random });
      expect(found.attempts).toBe(4);
      for (const [index, wait] of found.waits.entries()) waits[index]!.push(wait);
    }
    for (const [index, [low, high]] of WINDOWS.entries()) {
      const found = waits[index]!;
      expect(found).toHaveLength(runs);
      expect(Math.min(...found)).toBeGreaterThanOrEqual(low);
      expect(Math.max(...found)).toBeLessThanOrEqual(high);
      const tenth = (high - low) / 10;
      for (let part = 0; part < 10; part++) {
        const from = low + part * tenth;
        const share = found.filter((wait) => wait >= from && wait < from + tenth).length / runs;
        expect(share, `retry ${index + 1}, ${from} ms and more`).toBeGreaterThan(0.08);
        expect(share, `retry ${index + 1}, ${from} ms and more`).toBeLessThan(0.12);
      }
    }
  });

  test("reach both ends of a window and never pass the cap", async () => {
    for (const [index, [low, high]] of WINDOWS.entries()) {
      expect(backoff(index + 1, POLICY, () => 0)).toBe(low);
      expect(backoff(index + 1, POLICY, () => 1)).toBe(high);
    }
    await fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 40 }),
        fc.integer({ min: 1, max: 60_000 }),
        fc.integer({ min: 1, max: 60_000 }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        (n, baseMs, capMs, at) => {
          const wait = backoff(n, { maxRetries: n, baseMs, capMs }, () => at);
          expect(wait).toBeGreaterThanOrEqual(Math.min(capMs, baseMs));
          expect(wait).toBeLessThanOrEqual(capMs);
        },
      ),
    );
  });

  test("grow to Retry-After when that is longer and fits", async () => {
    expect((await exhaust({ error: transient(7_000) })).waits).toEqual([7_000, 7_000, 7_000]);
    const { waits } = await exhaust({ error: transient(100), random: () => 0 });
    expect(waits).toEqual([500, 1_000, 2_000]);
  });

  test("are told before they begin", async () => {
    const { waits, announced } = await exhaust({ random: () => 0 });
    expect(announced).toEqual(waits.map((wait, index) => [index + 1, wait]));
  });
});

describe("the end", () => {
  test("a Retry-After that does not fit fails at once, with the failure itself", async () => {
    const found = await exhaust({ error: transient(60_000) });
    expect(found).toMatchObject({ attempts: 1, waits: [], error: { retryAfterMs: 60_000 } });
  });

  test("a wait that would end at the deadline is not begun", async () => {
    expect(await exhaust({ random: () => 0, deadlineMs: 500 })).toMatchObject({ attempts: 1, waits: [] });
    expect(await exhaust({ random: () => 0, deadlineMs: 501 })).toMatchObject({ attempts: 2, waits: [500] });
  });

  test("a final failure is not tried again", async () => {
    const final = new UpstreamError("no such page", { transient: false });
    expect(await exhaust({ error: final })).toMatchObject({ attempts: 1, error: final });
    const other = new TypeError("a bug");
    expect(await exhaust({ error: other })).toMatchObject({ attempts: 1, error: other });
  });

  test("without retries there is one attempt", async () => {
    expect(await exhaust({ policy: { ...POLICY, maxRetries: 0 } })).toMatchObject({ attempts: 1, waits: [] });
  });

  test("no attempt starts when no time is left", async () => {
    const clock = new ManualClock();
    const deadline = new Deadline(1_000, { clock });
    clock.advance(1_000);
    let attempts = 0;
    const work = async () => {
      attempts += 1;
    };
    await expect(retry(work, { policy: POLICY, deadline, verdict: again, budget })).rejects.toMatchObject({
      code: "deadline_exceeded",
    });
    expect(attempts).toBe(0);
  });

  test("who gives up during a wait gets deadline_exceeded at once", async () => {
    const leaving = new AbortController();
    const deadline = new Deadline(60_000, { signal: leaving.signal });
    const startedAt = performance.now();
    const run = retry(() => Promise.reject(transient()), {
      policy: { maxRetries: 1, baseMs: 30_000, capMs: 30_000 },
      deadline,
      verdict: retryTransient,
      budget,
    });
    setTimeout(() => leaving.abort(), 30);
    const error = await run.catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(AppError);
    expect(error).toMatchObject({ code: "deadline_exceeded", meta: { retry_after: "1" } });
    expect(performance.now() - startedAt).toBeLessThan(4_000);
  });

  test("the waits are real ones by default", async () => {
    const startedAt = performance.now();
    let attempts = 0;
    const value = await retry(
      async () => {
        attempts += 1;
        if (attempts < 3) throw transient();
        return "at last";
      },
      {
        policy: { maxRetries: 3, baseMs: 20, capMs: 50 },
        deadline: new Deadline(5_000),
        verdict: retryTransient,
        budget,
      },
    );
    expect(value).toBe("at last");
    expect(performance.now() - startedAt).toBeGreaterThan(55);
  });
});

type Attempt = { latencyMs: number; ends: "ok" | "transient" | "final"; afterMs: number | undefined };

const attempt: fc.Arbitrary<Attempt> = fc.record({
  latencyMs: fc.integer({ min: 0, max: 20_000 }),
  ends: fc.constantFrom("ok", "transient", "transient", "transient", "final"),
  afterMs: fc.option(fc.integer({ min: 0, max: 30_000 }), { nil: undefined }),
});

test("whatever fails and however long it takes, no attempt starts past the deadline", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.record({
        attempts: fc.array(attempt, { minLength: 12, maxLength: 12 }),
        maxRetries: fc.integer({ min: 0, max: 10 }),
        baseMs: fc.integer({ min: 1, max: 3_000 }),
        capMs: fc.integer({ min: 1, max: 10_000 }),
        // Real time must not end it: the clock of this test does.
        deadlineMs: fc.integer({ min: 30_000, max: 90_000 }),
        seed: fc.nat(),
      }),
      async ({ attempts, maxRetries, baseMs, capMs, deadlineMs, seed }) => {
        const clock = new ManualClock();
        const endsAt = clock.now() + deadlineMs;
        const policy = { maxRetries, baseMs, capMs };
        const made: { attempt: Attempt; error?: Error }[] = [];
        const waits: number[] = [];
        const outcome = await retry(
          async () => {
            expect(clock.now()).toBeLessThan(endsAt);
            const now = attempts[made.length]!;
            const entry: (typeof made)[number] = { attempt: now };
            made.push(entry);
            clock.advance(now.latencyMs);
            if (now.ends === "ok") return "answer";
            entry.error = new UpstreamError("failed", {
              transient: now.ends === "transient",
              retryAfterMs: now.afterMs,
            });
            throw entry.error;
          },
          {
            policy,
            deadline: new Deadline(deadlineMs, { clock }),
            verdict: retryTransient,
            budget,
            random: seededRandom(seed),
            sleep: async (ms) => {
              waits.push(ms);
              clock.advance(ms);
              expect(clock.now()).toBeLessThan(endsAt);
            },
          },
        ).then(
          (value) => ({ value }),
          (error: unknown) => ({ error }),
        );

        expect(made.length).toBeLessThanOrEqual(maxRetries + 1);
        expect(waits).toHaveLength(made.length - 1);
        expect(made.slice(0, -1).every((each) => each.attempt.ends === "transient")).toBe(true);
        const last = made.at(-1)!;
        expect(outcome).toEqual(last.attempt.ends === "ok" ? { value: "answer" } : { error: last.error });
        for (const [index, wait] of waits.entries()) {
          const least = backoff(index + 1, policy, () => 0);
          const most = backoff(index + 1, policy, () => 1);
          const asked = made[index]!.attempt.afterMs ?? 0;
          expect(wait).toBeGreaterThanOrEqual(Math.max(least, asked));
          expect(wait).toBeLessThanOrEqual(Math.max(most, asked));
        }
        // It gives up early only when even the shortest next wait might not fit.
        if (last.attempt.ends === "transient" && made.length <= maxRetries) {
          const longest = Math.max(
            backoff(made.length, policy, () => 1),
            last.attempt.afterMs ?? 0,
          );
          expect(clock.now() + longest).toBeGreaterThanOrEqual(endsAt);
        }
      },
    ),
    { numRuns: 500 },
  );
});
