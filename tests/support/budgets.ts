import { Budgets, type DailyLimits } from "@parley/core/budget/budgets";
import { Ledger } from "@parley/core/budget/ledger";
import type { Price } from "@parley/core/budget/price";
import { priceOf } from "@parley/core/budget/prices";
import { redisWorker } from "./redis-worker.ts";
import type { RestClient } from "./upstash-rest.ts";

/** Of the simulated model, in US dollars for a million tokens. */
export const PRICE: Price = { input: 1, cached: 0.1, output: 8 };

export type BudgetSetup = {
  limits: Partial<DailyLimits>;
  maxOutputTokens?: number;
  priceOf?: (model: string) => Price | undefined;
};

/** What one Lambda instance has of budgets: a client of Redis of its own. */
export function budgetsOn(gateway: { url: string; token: string }, setup: BudgetSetup) {
  const { redis, telemetry } = redisWorker(gateway);
  const budgets = new Budgets({
    ledger: new Ledger({ redis, leaseMs: 60_000 }),
    limits: { user: {}, key: {}, ...setup.limits },
    priceOf: setup.priceOf ?? ((model) => (model === "offline-model" ? PRICE : priceOf(model))),
    maxOutputTokens: setup.maxOutputTokens ?? 100,
    telemetry,
  });
  return { budgets, telemetry };
}

/** What stands in a budget's key: what was spent, and what is held by calls under way; money in billionths of a dollar. */
export async function budgetIn(rest: RestClient, key: string) {
  const names = ["tokens", "cost", "held_tokens", "held_cost"];
  const values = (await rest.result("HMGET", key, ...names)) as (string | null)[];
  const [tokens = 0, nanoUsd = 0, heldTokens = 0, heldNanoUsd = 0] = values.map(Number);
  return { spent: { tokens, nanoUsd }, held: { tokens: heldTokens, nanoUsd: heldNanoUsd } };
}
