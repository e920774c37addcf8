import { checkBreaker } from "./breaker.ts";
import { checkBudgets, readAccounts } from "./budgets.ts";
import type { Fault } from "./fault.ts";
import type { Stage } from "./stage.ts";

/** What an instance logs of a call that was let through because Redis was not heard in time: on a busy machine some are. */
const WITHOUT = { circuit: "circuit breaker state is unavailable", budget: "budgets are unavailable" };

/** Circuits and budgets from now on; the result judges what became of them, when all is quiet. */
export async function watchExactness(stage: Stage): Promise<(fault: Fault) => Promise<string[]>> {
  const { transitions, weatherCalls, budgetEntries, modelTokens } = stage.recorder;
  const read = async () => ({
    day: new Date().getUTCDate(),
    counts: [transitions.length, weatherCalls.length, budgetEntries.length, modelTokens()] as const,
    blind: await stage.instances.logged(WITHOUT.circuit),
    unbudgeted: await stage.instances.logged(WITHOUT.budget),
    accounts: await readAccounts(stage),
  });
  const before = await read();
  const [transition, call, entry, token] = before.counts;

  return async (fault) => {
    // Both are in Redis, and fail open without it.
    if (fault.redis) return [];
    const after = await read();
    const broken = checkBreaker({
      transitions: transitions.slice(transition),
      calls: after.counts[1] - call,
      blind: after.blind - before.blind,
    });
    if (fault.stops || after.day !== before.day) return broken;
    const budgets = checkBudgets({
      before: before.accounts,
      after: after.accounts,
      entries: budgetEntries.slice(entry),
      modelTokens: after.counts[3] - token,
      blind: after.unbudgeted - before.unbudgeted,
    });
    return [...broken, ...budgets];
  };
}
