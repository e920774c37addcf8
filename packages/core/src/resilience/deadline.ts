import { setTimeout } from "node:timers/promises";
import { type Clock, systemClock } from "../clock.ts";
import { AppError } from "../error.ts";

/**
 * The one point in time by which a request must have its answer. Nothing starts without time left:
 * the signal reaches every model call, tool and retry sleep of the request.
 */
export class Deadline {
  readonly signal: AbortSignal;
  readonly #at: number;
  readonly #clock: Clock;

  /** `ms` from now; `signal`, when given, ends it early (the client or the platform gave up). */
  constructor(ms: number, options: { clock?: Clock; signal?: AbortSignal } = {}) {
    this.#clock = options.clock ?? systemClock;
    this.#at = this.#clock.now() + ms;
    const timeout = AbortSignal.timeout(Math.max(0, Math.ceil(ms)));
    this.signal = options.signal ? AbortSignal.any([timeout, options.signal]) : timeout;
  }

  /** Milliseconds left, never below 0. */
  remaining(): number {
    return this.signal.aborted ? 0 : Math.max(0, this.#at - this.#clock.now());
  }

  /** A signal for one operation that may take `ms` at the most, and never longer than the request. */
  within(ms: number): AbortSignal {
    return AbortSignal.any([this.signal, AbortSignal.timeout(Math.max(0, Math.ceil(ms)))]);
  }

  /** A deadline of its own for a part of the request: `ms` from now, and never later than this one. */
  part(ms: number): Deadline {
    return new Deadline(Math.min(ms, this.remaining()), { clock: this.#clock, signal: this.signal });
  }

  /** @throws AppError deadline_exceeded when it comes first */
  async sleep(ms: number): Promise<void> {
    await setTimeout(ms, undefined, { signal: this.signal }).catch((cause: unknown) => {
      throw deadlineExceeded(cause);
    });
  }

  /** @throws AppError deadline_exceeded when no time is left */
  check(): void {
    if (this.remaining() === 0) throw deadlineExceeded();
  }
}

export const deadlineExceeded = (cause?: unknown) =>
  new AppError("deadline_exceeded", "There was not enough time to finish the answer. Send it again.", {
    cause,
    meta: { retry_after: "1" },
  });
