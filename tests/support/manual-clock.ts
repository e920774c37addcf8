import type { Clock } from "@parley/core/clock";

/** Stands still until a test moves it; `sleep` moves it by the whole wait at once. */
export class ManualClock implements Clock {
  #now: number;

  constructor(now = Date.UTC(2026, 10, 22, 14, 40, 12)) {
    this.#now = now;
  }

  now(): number {
    return this.#now;
  }

  advance(ms: number): void {
    this.#now += ms;
  }

  readonly sleep = async (ms: number): Promise<void> => {
    this.advance(ms);
  };
}
