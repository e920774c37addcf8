import type { Verdict } from "./retry.ts";

/** A service that we call did not answer usefully. */
export class UpstreamError extends Error {
  override readonly name = "UpstreamError";
  /** Another attempt may help; and it says something of the service's health. */
  readonly transient: boolean;
  readonly retryAfterMs: number | undefined;
  /** The HTTP status that it answered with, when it is one that says so. */
  readonly status: number | undefined;

  constructor(
    message: string,
    options: {
      transient: boolean;
      retryAfterMs?: number | undefined;
      status?: number | undefined;
      cause?: unknown;
    },
  ) {
    super(message, { cause: options.cause });
    this.transient = options.transient;
    this.retryAfterMs = options.retryAfterMs;
    this.status = options.status;
  }
}

/** HTTP statuses that another attempt may turn into an answer. */
export const isTransientStatus = (status: number) => status === 408 || status === 429 || status >= 500;

export const retryTransient = (error: unknown): Verdict =>
  error instanceof UpstreamError && error.transient && { afterMs: error.retryAfterMs };
