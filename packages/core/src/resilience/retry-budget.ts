import { type Clock, systemClock } from "../clock.ts";
import { silentTelemetry, type Telemetry } from "../telemetry.ts";

/** A tenth: a dependency that fails every call has 1.1 times the load, and not 4 times. */
const CALLS_PER_RETRY = 10;
const WINDOW_MS = 60_000;

/**
 * How often calls to one dependency may be repeated, counted by each instance for itself. A first call pays for a tenth of
 * a retry, and a quiet minute restores `reserve` of them, so that a lone request still has all of its own.
 *
 * Of N first calls in a minute, whichever minute: at most N/10 + `reserve` retries. In a minute that ends with a
 * retry: at most N/10, or `reserve` where that is more. So 1.1 is exact from 10 * `reserve` calls a minute on, as long as
 * they keep coming at the same rate.
 */
export class RetryBudget {
  readonly #dependency: string;
  readonly #reserve: number;
  readonly #clock: Clock;
  readonly #telemetry: Telemetry;
  /** In tenths of a retry. */
  #balance: number;
  #calls: number[] = [];
  #retries: number[] = [];

  constructor(options: {
    /** For metrics. */
    dependency: string;
    /** The retries that one call may need; one at the least. */
    reserve: number;
    clock?: Clock;
    telemetry?: Telemetry;
  }) {
    this.#dependency = options.dependency;
    this.#reserve = Math.max(1, options.reserve);
    this.#clock = options.clock ?? systemClock;
    this.#telemetry = options.telemetry ?? silentTelemetry;
    this.#balance = this.#reserve * CALLS_PER_RETRY;
  }

  /** A first call is made. */
  deposit(): void {
    this.#forget();
    this.#calls.push(this.#clock.now());
    this.#balance = Math.min(this.#reserve * CALLS_PER_RETRY, this.#balance + 1);
  }

  /** Whether a call may be repeated; then it counts as repeated. `kept` retries are left for somebody else. */
  withdraw(kept = 0): boolean {
    this.#forget();
    if (this.#retries.length === 0) this.#balance = this.#reserve * CALLS_PER_RETRY;
    const mostOfAMinute = Math.max(this.#reserve, this.#calls.length / CALLS_PER_RETRY);
    const wanted = kept + 1;
    if (this.#balance < wanted * CALLS_PER_RETRY || this.#retries.length + wanted > mostOfAMinute) {
      this.#telemetry.count("RetriesRefused", 1, { dependency: this.#dependency });
      return false;
    }
    this.#balance -= CALLS_PER_RETRY;
    this.#retries.push(this.#clock.now());
    return true;
  }

  #forget(): void {
    const now = this.#clock.now();
    // Of what lies ahead since the clock was set back, nobody knows when it was.
    const isRecent = (at: number) => at > now - WINDOW_MS && at <= now;
    const areRecent = (times: readonly number[]) =>
      isRecent(times[0] ?? now) && isRecent(times.at(-1) ?? now);
    if (!areRecent(this.#calls)) this.#calls = this.#calls.filter(isRecent);
    if (!areRecent(this.#retries)) this.#retries = this.#retries.filter(isRecent);
  }
}
