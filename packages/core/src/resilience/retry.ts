import { setTimeout } from "node:timers/promises";
import type { Deadline } from "./deadline.ts";
import { deadlineExceeded } from "./deadline.ts";
import type { RetryBudget } from "./retry-budget.ts";

/** `maxRetries` attempts after the first; waits grow from `baseMs` and never pass `capMs`. */
export type RetryPolicy = { maxRetries: number; baseMs: number; capMs: number };

/** What a failure says about trying again: no, or yes with the least wait that the server asked for. */
export type Verdict = false | { afterMs?: number | undefined };

export type RetryOptions = {
  policy: RetryPolicy;
  deadline: Deadline;
  /** Only failures that another attempt can mend. */
  verdict: (error: unknown) => Verdict;
  /** Of the dependency, shared by all calls of the instance. */
  budget: Pick<RetryBudget, "deposit" | "withdraw">;
  onRetry?: (attempt: number, waitMs: number) => void;
  random?: () => number;
  sleep?: (ms: number, signal: AbortSignal) => Promise<unknown>;
};

/**
 * Milliseconds before retry `n` (from 1): uniform in [base * 2^(n-1), 3 * base * 2^(n-1)], both ends capped.
 * With base 500 and cap 5000: 0.5-1.5 s, 1-3 s, 2-5 s.
 */
export function backoff(n: number, policy: RetryPolicy, random: () => number = Math.random): number {
  const low = Math.min(policy.capMs, policy.baseMs * 2 ** (n - 1));
  const high = Math.min(policy.capMs, 3 * low);
  return low + random() * (high - low);
}

/**
 * Runs `work` until it succeeds, its failure is final, the retries or the dependency's budget of them are used up, or the next
 * wait would end at or past the deadline: then the last failure is thrown at once, for waiting could not help. No attempt
 * starts past the deadline.
 */
export async function retry<T>(work: () => Promise<T>, options: RetryOptions): Promise<T> {
  const { policy, deadline, verdict, budget, onRetry, random } = options;
  const sleep = options.sleep ?? ((ms, signal) => setTimeout(ms, undefined, { signal }));
  for (let attempt = 1; ; attempt++) {
    deadline.check();
    if (attempt === 1) budget.deposit();
    try {
      return await work();
    } catch (error) {
      const again = attempt <= policy.maxRetries && verdict(error);
      if (!again) throw error;
      const waitMs = Math.max(backoff(attempt, policy, random), again.afterMs ?? 0);
      if (waitMs >= deadline.remaining() || !budget.withdraw()) throw error;
      onRetry?.(attempt, waitMs);
      await sleep(waitMs, deadline.signal).catch((cause: unknown) => {
        throw deadlineExceeded(cause);
      });
    }
  }
}
