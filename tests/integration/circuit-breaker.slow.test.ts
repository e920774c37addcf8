import { setTimeout as sleep } from "node:timers/promises";
import type { Admission, CircuitOpenError } from "@parley/core/resilience/circuit-breaker";
import { describe, expect, test } from "vitest";
import { breakerSuite, endOf, fail, held, misuse, succeed, WORKERS } from "../support/breaker.ts";
import { enginesFor } from "../support/redis-engines.ts";

describe.each(await enginesFor("the circuit breaker"))("on %s", (engine) => {
  const suite = breakerSuite(engine);
  const { worker, workers, open } = suite;

  /** Ends when all but one are refused: that one is under way. */
  async function allButOneRefused(ends: Promise<string>[]): Promise<void> {
    const found: string[] = [];
    for (const end of ends) void end.then((how) => found.push(how));
    await expect.poll(() => found.length, { timeout: 5_000 }).toBe(ends.length - 1);
    expect(new Set(found)).toEqual(new Set(["refused"]));
  }

  const total = (all: ReturnType<typeof worker>[], metric: "CircuitOpened" | "CircuitRejections") =>
    all.reduce((sum, { telemetry }) => sum + telemetry.total(metric), 0);

  describe("opening", () => {
    test("two failures do not open it, the third does, for everybody", async () => {
      const all = workers();
      await endOf(all[0]!.run(fail));
      await endOf(all[1]!.run(fail));
      expect(await Promise.all(all.map(({ run }) => endOf(run(succeed))))).toEqual(all.map(() => "ok"));
      expect(await endOf(all[2]!.run(fail))).toBe("a failure error");
      expect(await Promise.all(all.map(({ run }) => endOf(run(succeed))))).toEqual(all.map(() => "refused"));
      expect(total(all, "CircuitOpened")).toBe(1);
      expect(total(all, "CircuitRejections")).toBe(WORKERS);
    });

    test.each([
      [2, "ok"],
      [3, "refused"],
      [4, "refused"],
    ])("%i failures at the same moment among fifty calls: then %s", async (failures, then) => {
      const all = workers();
      const calls = all.map(() => held());
      const ends = all.map(({ run }, index) => endOf(run(calls[index]!.call)));
      await Promise.all(calls.map(({ begun }) => begun));
      for (const [index, call] of calls.entries()) index < failures ? call.fail() : call.succeed();
      expect((await Promise.all(ends)).filter((end) => end === "ok")).toHaveLength(WORKERS - failures);
      expect(await Promise.all(all.map(({ run }) => endOf(run(succeed))))).toEqual(all.map(() => then));
      expect(total(all, "CircuitOpened")).toBe(failures < 3 ? 0 : 1);
    });

    test("fifty failures at the same moment open it once", async () => {
      const all = workers({ cooldownMs: 300 });
      const calls = all.map(() => held());
      const ends = all.map(({ run }, index) => endOf(run(calls[index]!.call)));
      await Promise.all(calls.map(({ begun }) => begun));
      for (const call of calls) call.fail();
      await Promise.all(ends);
      expect(total(all, "CircuitOpened")).toBe(1);
      await sleep(320);
      expect(await endOf(all[0]!.run(succeed))).toBe("ok");
      // The 47 that came after the opening are not held against the circuit that is closed again.
      expect(await endOf(all[1]!.run(fail))).toBe("a failure error");
      expect(await endOf(all[2]!.run(succeed))).toBe("ok");
    });

    test("only failures within the window count", async () => {
      const windowMs = 500;
      const { run } = worker({ windowMs });
      await endOf(run(fail));
      await endOf(run(fail));
      await sleep(windowMs + 20);
      await endOf(run(fail));
      await endOf(run(fail));
      expect(await endOf(run(succeed))).toBe("ok");
      await endOf(run(fail));
      expect(await endOf(run(succeed))).toBe("refused");
    });

    test("neutral errors and successes neither open it nor make it forget", async () => {
      const { run } = worker();
      for (let call = 0; call < 10; call++) expect(await endOf(run(misuse))).toBe("a neutral error");
      await endOf(run(fail));
      await endOf(run(fail));
      for (let call = 0; call < 10; call++) expect(await endOf(run(misuse))).toBe("a neutral error");
      expect(await endOf(run(succeed))).toBe("ok");
      await endOf(run(fail));
      expect(await endOf(run(succeed))).toBe("refused");
    });

    test("a refusal says for how long", async () => {
      await open({ cooldownMs: 5_000 });
      const { retryAfterMs } = await worker()
        .run(succeed)
        .then(() => expect.unreachable())
        .catch((error: CircuitOpenError) => error);
      expect(retryAfterMs).toBeGreaterThan(3_000);
      expect(retryAfterMs).toBeLessThanOrEqual(5_000);
    });

    test("one dependency's trouble is not another's", async () => {
      await open();
      expect(await endOf(worker({}, `other-${suite.dependency}`).run(succeed))).toBe("ok");
    });
  });

  describe("probing", () => {
    const cooldownMs = 250;

    test("a herd of fifty at the end of the cooldown sends exactly one", async () => {
      await open({ cooldownMs });
      await sleep(cooldownMs + 20);
      const all = workers({ cooldownMs });
      let calls = 0;
      const probe = held();
      const ends = all.map(({ run }) =>
        endOf(
          run(() => {
            calls += 1;
            return probe.call();
          }),
        ),
      );
      await allButOneRefused(ends);
      expect(calls).toBe(1);
      probe.succeed();
      expect((await Promise.all(ends)).filter((end) => end === "ok")).toHaveLength(1);
    });

    test("its success lets all fifty through at once, those too that were just refused", async () => {
      await open({ cooldownMs });
      await sleep(cooldownMs + 20);
      const [prober, ...others] = workers({ cooldownMs });
      const probe = held();
      const end = endOf(prober!.run(probe.call));
      await probe.begun;
      expect(await endOf(others[0]!.run(succeed))).toBe("refused");
      probe.succeed();
      expect(await end).toBe("ok");
      expect(await Promise.all(others.map(({ run }) => endOf(run(succeed))))).toEqual(others.map(() => "ok"));
    });

    test("a closed circuit counts from nothing again", async () => {
      await open({ cooldownMs });
      await sleep(cooldownMs + 20);
      const { run } = worker({ cooldownMs });
      expect(await endOf(run(succeed))).toBe("ok");
      await endOf(run(fail));
      await endOf(run(fail));
      expect(await endOf(run(succeed))).toBe("ok");
      await endOf(run(fail));
      expect(await endOf(run(succeed))).toBe("refused");
    });

    test("while the dependency stays down, fifty busy workers send one call a cooldown", async () => {
      await open({ cooldownMs });
      const calls: number[] = [];
      const until = performance.now() + 5.5 * cooldownMs;
      await Promise.all(
        workers({ cooldownMs }).map(async ({ run }) => {
          while (performance.now() < until) {
            await endOf(
              run(() => {
                calls.push(performance.now());
                return fail();
              }),
            );
            await sleep(20);
          }
        }),
      );
      expect(calls.length).toBeGreaterThanOrEqual(2);
      expect(calls.length).toBeLessThanOrEqual(5);
      const gaps = calls.slice(1).map((at, index) => at - calls[index]!);
      // A millisecond, for Redis counts in whole ones.
      for (const gap of gaps) expect(gap).toBeGreaterThanOrEqual(cooldownMs - 1);
    });

    test("a neutral outcome decides nothing and frees the place", async () => {
      await open({ cooldownMs });
      await sleep(cooldownMs + 20);
      const all = workers({ cooldownMs });
      expect(await endOf(all[0]!.run(misuse))).toBe("a neutral error");
      const probe = held();
      const end = endOf(all[1]!.run(probe.call));
      await probe.begun;
      expect(await endOf(all[2]!.run(succeed))).toBe("refused");
      probe.fail();
      expect(await end).toBe("a failure error");
      expect(await endOf(all[3]!.run(succeed))).toBe("refused");
    });

    test("a prober that dies leaves its place to one other when the lease is over", async () => {
      const leaseMs = 800;
      await open({ cooldownMs, leaseMs });
      await sleep(cooldownMs + 20);
      const dead = worker({ cooldownMs, leaseMs });
      const admission = (await dead.store.acquire("the dead one")) as Admission & { allowed: true };
      expect(admission).toMatchObject({ allowed: true, state: "half_open" });

      const all = workers({ cooldownMs, leaseMs });
      expect(await Promise.all(all.map(({ run }) => endOf(run(succeed))))).toEqual(all.map(() => "refused"));
      await sleep(leaseMs + 20);
      const calls = all.map(() => held());
      const ends = all.map(({ run }, index) => endOf(run(calls[index]!.call)));
      await allButOneRefused(ends);

      // It was not dead but slow: nobody listens any more.
      expect(await dead.store.settle("the dead one", admission.generation, "failure")).toBeUndefined();
      expect(await dead.store.settle("the dead one", admission.generation, "ok")).toBeUndefined();
      for (const call of calls) call.succeed();
      expect((await Promise.all(ends)).filter((end) => end === "ok")).toHaveLength(1);
      expect(await endOf(all[0]!.run(succeed))).toBe("ok");
    });
  });

  describe("late outcomes", () => {
    test("of calls from before the opening neither close it nor prolong it", async () => {
      const cooldownMs = 600;
      const all = workers({ cooldownMs });
      const slow = [held(), held()];
      const ends = slow.map(({ call }, index) => endOf(all[index]!.run(call)));
      await Promise.all(slow.map(({ begun }) => begun));
      await open({ cooldownMs });
      slow[0]!.succeed();
      expect(await ends[0]).toBe("ok");
      expect(await endOf(all[2]!.run(succeed))).toBe("refused");
      await sleep(cooldownMs / 2);
      slow[1]!.fail();
      expect(await ends[1]).toBe("a failure error");
      await sleep(cooldownMs / 2 + 20);
      expect(await endOf(all[3]!.run(succeed))).toBe("ok");
    });

    test("of calls from before the opening do not count after the closing", async () => {
      const cooldownMs = 100;
      const all = workers({ cooldownMs });
      const slow = all.slice(0, 3).map(() => held());
      const ends = slow.map(({ call }, index) => endOf(all[index]!.run(call)));
      await Promise.all(slow.map(({ begun }) => begun));
      await open({ cooldownMs });
      await sleep(cooldownMs + 20);
      expect(await endOf(all[3]!.run(succeed))).toBe("ok");
      for (const call of slow) call.fail();
      expect(await Promise.all(ends)).toEqual(slow.map(() => "a failure error"));
      expect(await endOf(all[4]!.run(succeed))).toBe("ok");
    });
  });
});
