import type { Usage } from "../assistant/chat-model.ts";
import { newHolderId } from "../id.ts";
import { joinKey } from "../redis/keys.ts";
import type { Deadline } from "../resilience/deadline.ts";
import type { Telemetry } from "../telemetry.ts";
import type { Account, Amount, Grant, Ledger, Limit } from "./ledger.ts";
import { type BudgetName, overBudget } from "./over-budget.ts";
import type { Price } from "./price.ts";
import { costOf } from "./prices.ts";

/** Who a call is made for: a user of a platform, if one is known, and the API key or the bot that they come through. */
export type Spender = { owner: string; user?: { platform: string; id: string } | undefined };
/** What each user, and each key or bot, may spend in a day. */
export type DailyLimits = { user: Limit; key: Limit };
/** What a call is made of, before anybody knows what it costs. */
export type Estimate = { model: string; inputTokens: number };

export interface Reservation {
  /** What the call came to; without a usage, all that was reserved. Never throws. */
  settle(usage: Usage | undefined): Promise<void>;
}

/** How long until it is asked again whether what others hold has become free. */
const POLL_MS = 500;

/**
 * Daily budgets of tokens and of money. A call reserves the most that it may cost before it is made and settles what it did
 * cost after, so that however many run at once, one at the most passes a limit. A day is UTC's, by Redis's clock. Without
 * Redis there is no budget: the call is made and counted as unchecked.
 */
export class Budgets {
  readonly #ledger: Pick<Ledger, "reserve" | "settle">;
  readonly #limits: DailyLimits;
  readonly #priceOf: (model: string) => Price | undefined;
  readonly #maxOutputTokens: number;
  readonly #telemetry: Telemetry;
  /** Models of which it was said already that nobody knows their price. */
  readonly #unpriced = new Set<string>();

  constructor(options: {
    ledger: Pick<Ledger, "reserve" | "settle">;
    limits: DailyLimits;
    /** Of a model without one only tokens are counted. */
    priceOf: (model: string) => Price | undefined;
    /** What one call may write. */
    maxOutputTokens: number;
    telemetry: Telemetry;
  }) {
    this.#ledger = options.ledger;
    this.#limits = options.limits;
    this.#priceOf = options.priceOf;
    this.#maxOutputTokens = options.maxOutputTokens;
    this.#telemetry = options.telemetry;
  }

  /**
   * Waits while what is left is only held by others, until the deadline.
   * @throws AppError resource_exhausted; `meta.budget` says whose, and `meta.resets_at` when the next day begins, unless it is
   * only held
   */
  async reserve(
    spender: Spender,
    { model, inputTokens }: Estimate,
    deadline: Deadline,
  ): Promise<Reservation> {
    const accounts = accountsOf(spender, this.#limits);
    if (accounts.length === 0) return { settle: async () => {} };
    const call = newHolderId();
    const most = { input: inputTokens, cached: 0, output: this.#maxOutputTokens };
    const amount = this.#amountOf(model, most);
    for (;;) {
      const grant = await this.#ask(call, accounts, amount);
      if (grant.granted) break;
      if (grant.spent || deadline.remaining() <= POLL_MS) {
        const budget = accounts[grant.account]?.budget ?? "key";
        this.#telemetry.count("BudgetRefusals", 1, { budget });
        throw overBudget(budget, grant);
      }
      await deadline.sleep(POLL_MS);
    }
    return {
      settle: (usage) => this.#settle(call, accounts, usage ? this.#amountOf(model, usage) : amount),
    };
  }

  async #ask(call: string, accounts: readonly Named[], amount: Amount): Promise<Grant> {
    try {
      return await this.#ledger.reserve(call, accounts, amount);
    } catch (error) {
      this.#telemetry.count("BudgetUnavailable");
      this.#telemetry.warn("budgets are unavailable: the model is asked without", { error });
      // Only the answer may be lost: then what is reserved is settled like any other.
      return { granted: true };
    }
  }

  async #settle(call: string, accounts: readonly Account[], amount: Amount): Promise<void> {
    await this.#ledger.settle(call, accounts, amount).catch((error: unknown) => {
      this.#telemetry.warn("a budget keeps what was reserved of it: what was used could not be told", {
        error,
      });
    });
  }

  #amountOf(model: string, usage: Usage): Amount {
    const tokens = usage.input + usage.output;
    const price = this.#priceOf(model);
    if (price) return { tokens, nanoUsd: costOf(usage, price) };
    const hasCost = Object.values(this.#limits).some(({ nanoUsd }) => nanoUsd !== undefined);
    if (hasCost && !this.#unpriced.has(model)) {
      this.#unpriced.add(model);
      this.#telemetry.warn("the model's price is not known, set MODEL_PRICE: only its tokens count", {
        model,
      });
    }
    return { tokens, nanoUsd: 0 };
  }
}

type Named = Account & { budget: BudgetName };

/** Under one hash tag, for one script changes both. */
function accountsOf({ owner, user }: Spender, limits: DailyLimits): Named[] {
  const prefix = `budget:{${encodeURIComponent(owner)}}`;
  const key: Named = { budget: "key", key: `${prefix}:key`, limit: limits.key };
  const all: Named[] = user
    ? [
        { budget: "user", key: `${prefix}:${joinKey("user", user.platform, user.id)}`, limit: limits.user },
        key,
      ]
    : [key];
  return all.filter(({ limit }) => limit.tokens !== undefined || limit.nanoUsd !== undefined);
}
