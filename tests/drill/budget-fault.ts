import { budgetIn } from "../support/budgets.ts";
import { restClient } from "../support/upstash-rest.ts";
import type { Drill, Fault } from "./fault.ts";
import { BUDGET_TOKENS } from "./limits.ts";

const NAME = "budget nearly spent";
const USER = "spender";
/** Of one user, at once. */
const MESSAGES = 12;
/** What is left is for so many calls; each message takes two, one of them for a title. */
const CALLS_LEFT = 5;

/** What an account's calls reserved, or came to. */
function amountsOf({ stage: { recorder } }: Drill, op: "reserve" | "settle", key: string): number[] {
  const own = recorder.budgetEntries.filter(
    (each) => each.op === op && each.keys.includes(key) && each.call !== NAME,
  );
  return own.map(({ tokens }) => tokens);
}

/** The user's, which the first call opens. */
const accountOf = ({ stage: { recorder } }: Drill) =>
  recorder.budgetEntries.flatMap(({ keys }) => keys).find((key) => key.includes(USER)) ?? "";

/** A user who has little left asks much at once, of all instances: one call at the most passes the limit. */
export const budgetNearlySpent: Fault = {
  name: NAME,
  messages: 1,
  lastsMs: 0,
  async inject(drill) {
    const { stage, traffic } = drill;
    await traffic.stranger(NAME, USER);
    const redis = restClient(stage.upstash);
    const key = accountOf(drill);
    const { spent } = await budgetIn(redis, key);
    const tokens = BUDGET_TOKENS - spent.tokens - CALLS_LEFT * Math.max(...amountsOf(drill, "settle", key));
    await redis.result("HINCRBY", key, "tokens", String(tokens));
    stage.recorder.budgetEntries.push({
      ...{ op: "reserve", call: NAME, keys: [key], tokens, nanoUsd: 0, refused: false },
    });
    const asked = Array.from({ length: MESSAGES }, () => traffic.stranger(NAME, USER));
    return async () => void (await Promise.all(asked));
  },
  async after(drill) {
    const key = accountOf(drill);
    const most = Math.max(...amountsOf(drill, "settle", key));
    const { spent } = await budgetIn(restClient(drill.stage.upstash), key);
    const over = spent.tokens - BUDGET_TOKENS;
    const refused = drill.traffic.turns().filter((turn) => turn.refused).length;
    return [
      ...(over >= most
        ? [`budgets exact: ${over} tokens over the limit, and a call is of ${most} at the most`]
        : []),
      ...(refused > 0 && over < 0
        ? [`budgets exact: ${refused} were refused with ${-over} tokens left`]
        : []),
      ...(refused === 0 ? ["the drill itself: nobody was refused for a budget"] : []),
    ];
  },
};
