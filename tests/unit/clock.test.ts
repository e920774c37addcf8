import { Pause } from "@parley/core/clock";
import { RetryBudget } from "@parley/core/resilience/retry-budget";
import { describe, expect, test } from "vitest";
import { ManualClock } from "../support/manual-clock.ts";

describe("a pause", () => {
  test("lasts as long as it was begun for", () => {
    const clock = new ManualClock();
    const pause = new Pause(clock);
    expect(pause.left()).toBe(0);
    pause.begin(1_000);
    clock.advance(999);
    expect(pause.left()).toBe(1);
    clock.advance(1);
    expect(pause.left()).toBe(0);
  });

  test("is over when the clock is set back", () => {
    const clock = new ManualClock();
    const pause = new Pause(clock);
    pause.begin(1_000);
    clock.advance(-1);
    expect(pause.left()).toBe(0);
  });
});

test("retries that lie ahead since the clock was set back do not count", () => {
  const clock = new ManualClock();
  const budget = new RetryBudget({ dependency: "model", reserve: 1, clock });
  budget.deposit();
  expect([budget.withdraw(), budget.withdraw()]).toEqual([true, false]);
  clock.advance(-120_000);
  expect(budget.withdraw()).toBe(true);
});
