/** Wall time in milliseconds since the epoch; injected so that tests move it instead of sleeping. */
export type Clock = { now(): number };

export const systemClock: Clock = { now: () => Date.now() };

/**
 * A time to keep away from something. A wall clock can be set back: then nobody knows how long ago the pause began, and it is
 * over, where an instant to wait for could be hours away.
 */
export class Pause {
  readonly #clock: Clock;
  #since = 0;
  #ms = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  begin(ms: number): void {
    this.#since = this.#clock.now();
    this.#ms = ms;
  }

  /** Milliseconds left, 0 when it is over or never began. */
  left(): number {
    const passed = this.#clock.now() - this.#since;
    return passed < 0 ? 0 : Math.max(0, this.#ms - passed);
  }
}
