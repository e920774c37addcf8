import { AppError, isAppError } from "../error.ts";
import type { Grant } from "./ledger.ts";

/** Whose budget: a user's, or that of the API key or bot that they come through. */
export type BudgetName = "user" | "key";

/** As the API's clients read it; `meta.resets_at` only where the budget is used up, and not merely held by others. */
export function overBudget(budget: BudgetName, grant: Grant & { granted: false }): AppError {
  const whose = budget === "user" ? "this user" : "this API key";
  if (!grant.spent) {
    const message = `What is left of the daily budget of ${whose} is reserved by messages under way. Send it again in a moment.`;
    return new AppError("resource_exhausted", message, { meta: { budget, retry_after: "2" } });
  }
  const resets_at = new Date(grant.resetsAt).toISOString();
  const retry_after = String(Math.ceil(grant.resetsInMs / 1_000));
  return new AppError(
    "resource_exhausted",
    `The daily budget of ${whose} is used up. It starts again at ${resets_at}.`,
    { meta: { budget, resets_at, retry_after } },
  );
}

export const isOverBudget = (error: unknown): error is AppError =>
  isAppError(error, "resource_exhausted") && error.meta["budget"] !== undefined;
