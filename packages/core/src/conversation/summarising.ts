import type { PastTurn } from "../assistant/context-window.ts";
import type { NumberedTurn, Summaries } from "../assistant/summaries.ts";
import type { Spender } from "../budget/budgets.ts";
import type { Clock } from "../clock.ts";
import { Deadline } from "../resilience/deadline.ts";
import type { Telemetry } from "../telemetry.ts";
import type { Past } from "./begin-turn.ts";
import type { ConversationStore } from "./conversation-store.ts";
import type { Turn } from "./types.ts";

/** Work beside a turn, which fails for itself. */
export type Background = {
  /** Waits so long for the rest of it and then gives it up; nothing of it runs afterwards. */
  end(patienceMs: number): Promise<void>;
};

/** Who asked for the turn beside it, and by when that has to be answered. */
type Terms = { spender: Spender; deadline: Deadline };

/**
 * Summaries of a conversation's oldest turns. Lambda freezes a function with its response, so nothing can be done after
 * it; and the turn that finds its window too full should not have to wait. So the summary is made beside a reply, some
 * turns before the window is full, and serves from the next turn on:
 *
 *   turn n    load (window 3/4 full) -> begin -> model and tools -> complete -> answer
 *                                         '----> summary ---> store, if it reaches further than the stored one
 *   turn n+1  load (head with the summary, turns after it) -> ...
 *
 * The reply is stored first. A summary that is later than it has some seconds more, of which an HTTP client waits what it
 * takes, and a Telegram chat nothing, for its answer is sent before. Then the summary is given up, as it is when the turn
 * fails or the process dies: nothing is stored, the window holds as many of the newest turns as it can, and a later turn
 * tries again with what was missed. Two turns at once may both ask for one; the store keeps the one that reaches further.
 */
export class Summarising {
  readonly #store: Pick<ConversationStore, "summarise" | "turnsAfter">;
  readonly #summaries: Pick<Summaries, "next">;
  readonly #historyTurns: number;
  readonly #clock: Clock;
  readonly #telemetry: Telemetry;

  constructor(options: {
    store: Pick<ConversationStore, "summarise" | "turnsAfter">;
    summaries: Pick<Summaries, "next">;
    historyTurns: number;
    clock: Clock;
    telemetry: Telemetry;
  }) {
    this.#store = options.store;
    this.#summaries = options.summaries;
    this.#historyTurns = options.historyTurns;
    this.#clock = options.clock;
    this.#telemetry = options.telemetry;
  }

  /** Begins what is due, if anything is, and returns at once. */
  start({ conversationId }: Turn, past: Past, { spender, deadline }: Terms): Background {
    const given = new AbortController();
    const signal = AbortSignal.any([deadline.signal, given.signal]);
    const own = new Deadline(deadline.remaining(), { clock: this.#clock, signal });
    const done = this.#summarise(conversationId, past, { spender, deadline: own }).catch((error: unknown) => {
      this.#telemetry.warn("no summary: the oldest turns leave the window until a later turn has one", {
        error,
      });
    });
    return {
      async end(patienceMs) {
        const timer = setTimeout(() => given.abort(), patienceMs);
        await done;
        clearTimeout(timer);
      },
    };
  }

  async #summarise(
    id: string,
    { platform, summary, turns }: Past,
    { spender, deadline }: Terms,
  ): Promise<void> {
    const numbered = (turn: Turn): NumberedTurn => ({
      ...pastTurn(turn),
      seq: turn.seq,
      inProgress: !turn.reply && (turn.lease?.until ?? 0) > this.#clock.now(),
    });
    const next = await this.#summaries.next({
      platform,
      summary,
      turns: turns.map(numbered),
      loaded: this.#historyTurns,
      turnsAfter: async (seq) => {
        const missed = await this.#store.turnsAfter(id, seq, this.#historyTurns, deadline.signal);
        return missed.turns.map(numbered);
      },
      spender,
      deadline,
    });
    if (next) await this.#store.summarise(id, next, deadline.signal);
  }
}

/** A stored turn as the context window takes it. */
export const pastTurn = ({ message, reply }: Turn): PastTurn => ({
  message,
  steps: reply?.steps ?? [],
  reply: reply?.text,
  tokens: reply?.tokens,
});
