import { setTimeout as sleep } from "node:timers/promises";
import { Deadline } from "@parley/core/resilience/deadline";
import { expect, test } from "vitest";
import { ManualClock } from "../../support/manual-clock.ts";
import { fc } from "../../support/property.ts";

test("counts down to 0 and then lets nothing start", () => {
  const clock = new ManualClock();
  const deadline = new Deadline(10_000, { clock });
  expect(deadline.remaining()).toBe(10_000);
  clock.advance(9_999);
  expect(deadline.remaining()).toBe(1);
  deadline.check();
  clock.advance(1);
  expect(deadline.remaining()).toBe(0);
  clock.advance(5_000);
  expect(deadline.remaining()).toBe(0);
  expect(() => deadline.check()).toThrow(
    expect.objectContaining({ code: "deadline_exceeded", meta: { retry_after: "1" } }),
  );
});

test("its signal fires when the time is over", async () => {
  const deadline = new Deadline(40);
  expect(deadline.signal.aborted).toBe(false);
  await sleep(60);
  expect(deadline.signal.aborted).toBe(true);
  expect(deadline.remaining()).toBe(0);
});

test("who leaves early takes the remaining time along", () => {
  const leaving = new AbortController();
  const deadline = new Deadline(60_000, { signal: leaving.signal });
  const operation = deadline.within(30_000);
  const part = deadline.part(30_000);
  leaving.abort();
  expect(deadline.remaining()).toBe(0);
  expect(part.remaining()).toBe(0);
  expect([deadline.signal.aborted, operation.aborted, part.signal.aborted]).toEqual([true, true, true]);
});

test("an operation's own limit ends it and nothing else", async () => {
  const deadline = new Deadline(60_000);
  const operation = deadline.within(20);
  await sleep(40);
  expect(operation.aborted).toBe(true);
  expect(deadline.signal.aborted).toBe(false);
  expect(deadline.remaining()).toBeGreaterThan(0);
});

test("an operation of a short deadline ends with it", async () => {
  const operation = new Deadline(20).within(60_000);
  await sleep(40);
  expect(operation.aborted).toBe(true);
});

test("no time at all is no time", async () => {
  for (const ms of [0, -5_000]) {
    const deadline = new Deadline(ms);
    expect(deadline.remaining()).toBe(0);
    expect(() => deadline.check()).toThrow(expect.objectContaining({ code: "deadline_exceeded" }));
    expect(deadline.part(1_000).remaining()).toBe(0);
  }
});

test("a part never outlives the whole", async () => {
  await fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 100_000 }),
      fc.integer({ min: 0, max: 100_000 }),
      fc.integer({ min: 0, max: 100_000 }),
      fc.integer({ min: 0, max: 100_000 }),
      (wholeMs, beforeMs, partMs, afterMs) => {
        const clock = new ManualClock();
        const whole = new Deadline(wholeMs, { clock });
        clock.advance(beforeMs);
        const part = whole.part(partMs);
        expect(part.remaining()).toBe(Math.min(partMs, whole.remaining()));
        clock.advance(afterMs);
        expect(part.remaining()).toBeLessThanOrEqual(whole.remaining());
      },
    ),
  );
});
