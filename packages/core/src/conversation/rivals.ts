import { setTimeout } from "node:timers/promises";
import { AppError } from "../error.ts";
import { deadlineExceeded } from "../resilience/deadline.ts";

/** Rivals for one item wait at random up to this long, doubled at each loss and capped. */
const RIVAL_BACKOFF_MS = { base: 5, cap: 250 };
/** Far more than any number of real rivals: a store that refuses for so long is not there. */
const MAX_LOST = 100;

export const storeUnavailable = (cause: unknown) =>
  new AppError("unavailable", "The conversation store is unavailable right now. Try again in a moment.", {
    cause,
    meta: { retry_after: "1" },
  });

/** @throws AppError unavailable after too many losses, deadline_exceeded */
export async function wait(lost: number, signal?: AbortSignal): Promise<void> {
  if (lost >= MAX_LOST) throw storeUnavailable(new Error(`lost ${lost} races for one conversation`));
  const ms = Math.random() * Math.min(RIVAL_BACKOFF_MS.cap, RIVAL_BACKOFF_MS.base * 2 ** lost);
  await setTimeout(ms, undefined, signal ? { signal } : {}).catch((cause: unknown) => {
    throw deadlineExceeded(cause);
  });
}
