import { budgetIn } from "../support/budgets.ts";
import { restClient } from "../support/upstash-rest.ts";
import type { BudgetEntry } from "./recorder.ts";
import type { Stage } from "./stage.ts";

/** Tokens and billionths of a dollar of each account, spent and held together: who dies has spent what he held. */
export type Accounts = ReadonlyMap<string, { tokens: number; nanoUsd: number }>;

export async function readAccounts({ upstash, recorder }: Stage): Promise<Accounts> {
  const redis = restClient(upstash);
  const keys = new Set(recorder.budgetEntries.flatMap((entry) => entry.keys));
  const read = async (key: string) => {
    const { spent, held } = await budgetIn(redis, key);
    return [key, { tokens: spent.tokens + held.tokens, nanoUsd: spent.nanoUsd + held.nanoUsd }] as const;
  };
  return new Map(await Promise.all([...keys].map(read)));
}

/** Of each call what it was settled with, or else what it reserved; a command that was repeated counts once. */
function chargedCalls(entries: readonly BudgetEntry[]): BudgetEntry[] {
  const calls = new Map<string, BudgetEntry>();
  for (const entry of entries) {
    if (entry.refused || (entry.op === "settle" && calls.get(entry.call)?.op !== "reserve")) continue;
    if (entry.op === "settle" || !calls.has(entry.call)) calls.set(entry.call, entry);
  }
  return [...calls.values()];
}

/**
 * Every account has grown by what its calls came to, to the token, and no token that the model wrote or read is missing.
 * Redis must have kept its state, and no instance may have been stopped for longer than a call may take.
 */
export function checkBudgets(heard: {
  before: Accounts;
  after: Accounts;
  entries: readonly BudgetEntry[];
  modelTokens: number;
  /** Calls that were made without a budget, for Redis was not heard in time. */
  blind: number;
}): string[] {
  const { before, after, entries, modelTokens, blind } = heard;
  const calls = chargedCalls(entries);
  const wrong = [...after].flatMap(([key, { tokens, nanoUsd }]) => {
    const own = calls.filter(({ keys }) => keys.includes(key));
    const grown = {
      tokens: tokens - (before.get(key)?.tokens ?? 0),
      nanoUsd: nanoUsd - (before.get(key)?.nanoUsd ?? 0),
    };
    const due = { tokens: sum(own, "tokens"), nanoUsd: sum(own, "nanoUsd") };
    if (grown.tokens === due.tokens && grown.nanoUsd === due.nanoUsd) return [];
    return [`budgets exact: ${key} has grown by ${JSON.stringify(grown)} and not by ${JSON.stringify(due)}`];
  });
  const charged = sum(calls, "tokens");
  if (blind > 0 || charged >= modelTokens) return wrong;
  return [...wrong, `budgets exact: ${charged} tokens were charged, and the model counted ${modelTokens}`];
}

const sum = (entries: readonly BudgetEntry[], unit: "tokens" | "nanoUsd") =>
  entries.reduce((total, entry) => total + entry[unit], 0);
