import type { Assistant } from "../assistant/assistant.ts";
import type { Summaries } from "../assistant/summaries.ts";
import type { Titles } from "../assistant/titles.ts";
import type { Spender } from "../budget/budgets.ts";
import { isOverBudget } from "../budget/over-budget.ts";
import type { Clock } from "../clock.ts";
import { AppError } from "../error.ts";
import { newHolderId, newMessageId, newTurnId } from "../id.ts";
import { type DimensionValue, dimensions } from "../metrics.ts";
import { sha256 } from "../redis/keys.ts";
import type { Deadline } from "../resilience/deadline.ts";
import type { Sessions } from "../session/sessions.ts";
import { elapsedMs, type Telemetry } from "../telemetry.ts";
import { notFound, type Past, pastOf, type Target, TurnBeginner } from "./begin-turn.ts";
import type { ConversationStore } from "./conversation-store.ts";
import { type Background, pastTurn, Summarising } from "./summarising.ts";
import type { Lease, Reply, SessionMetadata, Turn } from "./types.ts";

/** A lease outlives its holder's deadline by this much: storing the reply, and clocks that differ. */
const LEASE_MARGIN_MS = 5_000;
/** A turn in progress is mostly done in less; the client may ask again then. */
const MAX_RETRY_AFTER_S = 5;
/** How long a summary may take when the reply is stored already: once in about half a window, if it is later at all. */
const PATIENCE_MS = 3_000;

export type Ask = {
  owner: string;
  message: string;
  /** The client's name for this turn; sent again it gets the same answer. A fresh one when absent. */
  turnId?: string | undefined;
  /** What the model should know besides, for this turn alone; it is not stored. */
  context?: string | undefined;
  deadline: Deadline;
  /**
   * For a caller that gives the answer before it ends: it gets what is left to be done beside the turn, never rejected, and
   * awaits it after the answer. Without it the turn itself waits, for what comes after a response is not done at all.
   */
  afterwards?: ((rest: Promise<void>) => void) | undefined;
};
/** What a turn needs to be answered. */
type Call = Pick<Ask, "context" | "deadline" | "afterwards"> & {
  owner: string;
  /** Who says it, where the request tells; else it is whose chat the conversation began in. */
  session: SessionMetadata | undefined;
  /** When it came, by `performance.now()`. */
  since: number;
};
type Asked = Pick<Call, "context" | "deadline"> & { spender: Spender };

/** A complete turn; `replayed` when an earlier request had completed it. */
export type TurnResult = {
  conversationId: string;
  title: string | undefined;
  reply: Reply;
  replayed: boolean;
};

export type TurnsOptions = {
  store: ConversationStore;
  sessions: Sessions;
  assistant: Pick<Assistant, "reply">;
  titles: Pick<Titles, "title">;
  summaries: Pick<Summaries, "next">;
  /** Turns loaded for the context window, whatever the conversation's length. */
  historyTurns: number;
  clock: Clock;
  telemetry: Telemetry;
};

/**
 * One message and its reply. A turn is stored before the model is asked and completed after, under a lease; a crash anywhere
 * leaves a turn that the same turn id completes.
 *
 *   resolve -> load -> begin (open, ours) -> model and tools -> complete (done)
 *                        |-- known, done ------------------------> the stored reply
 *                        |-- known, open, lease over -> claim ---> model and tools -> complete
 *                        '-- known, open, held ------------------> aborted: in progress
 */
export class Turns {
  readonly #store: ConversationStore;
  readonly #beginner: TurnBeginner;
  readonly #assistant: Pick<Assistant, "reply">;
  readonly #titles: Pick<Titles, "title">;
  readonly #summarising: Summarising;
  readonly #historyTurns: number;
  readonly #clock: Clock;
  readonly #telemetry: Telemetry;

  constructor(options: TurnsOptions) {
    this.#store = options.store;
    this.#beginner = new TurnBeginner(options);
    this.#assistant = options.assistant;
    this.#titles = options.titles;
    this.#summarising = new Summarising(options);
    this.#historyTurns = options.historyTurns;
    this.#clock = options.clock;
    this.#telemetry = options.telemetry;
  }

  /** @throws AppError; already_exists when a turn id comes with another message */
  serve(target: Target, ask: Ask): Promise<TurnResult> {
    return this.#telemetry.step("chat service", () =>
      this.#turn(target, {
        ...ask,
        session: target.kind === "conversation" ? undefined : target.session,
        since: performance.now(),
      }),
    );
  }

  async #turn(target: Target, ask: Ask & Call): Promise<TurnResult> {
    const { owner, message, deadline } = ask;
    const where = target.kind === "conversation" ? target.id : target.session;
    const digest = sha256(JSON.stringify([target.kind, where ?? null, message]));
    const lease = this.#newLease(deadline);
    const turnId = ask.turnId ?? newTurnId();
    const { begun, past } = await this.#beginner.begin(target, {
      owner,
      turnId,
      digest,
      message,
      lease,
      deadline,
    });
    const { turn } = begun;
    if (begun.outcome === "begun") return this.#answer(turn, lease.holder, past, ask);
    if (turn.digest !== digest) {
      throw new AppError("already_exists", "This idempotency key was used for another message.", {
        meta: { header: "idempotency-key" },
      });
    }
    return turn.reply ? this.#replay(turn) : this.#takeOver(turn, ask);
  }

  /** Completes a turn that a crash or a failure left open. */
  async #takeOver(turn: Turn, call: Call): Promise<TurnResult> {
    const { deadline } = call;
    const now = this.#clock.now();
    if (turn.lease && turn.lease.until > now) throw inProgress(turn.lease.until - now);
    const lease = this.#newLease(deadline);
    const claimed = await this.#store.claim(turn, lease, now, deadline.signal);
    if (!claimed) return this.#afterLoss(turn);
    return this.#answer(claimed, lease.holder, this.#pastOf(turn, deadline), call);
  }

  async #pastOf({ conversationId, seq }: Turn, { signal }: Deadline): Promise<Past> {
    const [head, turns] = await Promise.all([
      this.#store.load(conversationId, 0, signal),
      this.#store.turnsBefore(conversationId, seq, this.#historyTurns, signal),
    ]);
    if (!head) throw notFound();
    return pastOf({ conversation: head.conversation, turns });
  }

  async #answer(turn: Turn, holder: string, before: Past | Promise<Past>, call: Call): Promise<TurnResult> {
    let platform: Platform = "other";
    let summary: Background | undefined;
    try {
      const past = await before;
      const asked = { spender: spenderOf(call, past), deadline: call.deadline };
      summary = this.#summarising.start(turn, past, asked);
      platform = knownPlatform(past.platform);
      const titling = past.title === undefined ? this.#titles.title(turn.message, asked) : undefined;
      // Both fail together when a setting is wrong, and then nobody comes to wait for the title.
      titling?.catch(() => {});
      const reply = await this.#ask(turn, past, { ...call, ...asked });
      const title = (await titling) ?? past.title;
      const stored = await this.#telemetry.step("store save", () =>
        this.#store.complete(turn, holder, reply, titling && title),
      );
      const rest = summary.end(stored ? PATIENCE_MS : 0);
      if (call.afterwards) call.afterwards(rest);
      else await rest;
      if (stored) {
        this.#tell("done", platform, call);
        return { conversationId: turn.conversationId, title, reply, replayed: false };
      }
    } catch (error) {
      await summary?.end(0);
      this.#tell(
        isOverBudget(error) ? "refused" : wasStopped(call.deadline) ? "stopped" : "failed",
        platform,
        call,
      );
      // The message stays; without this a retry would have to wait until the lease is over.
      await this.#store.release(turn, holder).catch((failure: unknown) => {
        this.#telemetry.warn("a lease was not released and ends by itself", { error: failure });
      });
      throw error;
    }
    return this.#afterLoss(turn);
  }

  async #ask(
    { conversationId, message, seq }: Turn,
    past: Past,
    { context, spender, deadline }: Asked,
  ): Promise<Reply> {
    const conversation = sha256(conversationId);
    // A turn that was left open long ago, and is completed now, is older than what the summary tells.
    const summary = past.summary && past.summary.upToSeq < seq ? past.summary : undefined;
    const history = past.turns.filter((turn) => turn.seq > (summary?.upToSeq ?? 0)).map(pastTurn);
    const answer = await this.#telemetry.step("assistant reply", () =>
      this.#assistant.reply({
        platform: past.platform,
        history,
        summary,
        message,
        context,
        conversation,
        asker: sha256(JSON.stringify([spender.owner, spender.user?.id || null])),
        spender,
        deadline,
      }),
    );
    const at = this.#clock.now();
    return { ...answer, messageId: newMessageId(at), at };
  }

  /** The turn was not ours any more when we came to claim or complete it. */
  async #afterLoss(turn: Turn): Promise<TurnResult> {
    const current = await this.#store.turn(turn.conversationId, turn.seq);
    if (!current) throw notFound();
    if (!current.reply) throw inProgress((current.lease?.until ?? 0) - this.#clock.now());
    return this.#replay(current);
  }

  async #replay(turn: Turn): Promise<TurnResult> {
    if (!turn.reply) throw inProgress(0);
    const head = await this.#store.load(turn.conversationId, 0);
    this.#telemetry.count("TurnsReplayed");
    this.#telemetry.annotate({ outcome: "replayed" });
    return {
      conversationId: turn.conversationId,
      title: head?.conversation.title,
      reply: turn.reply,
      replayed: true,
    };
  }

  #tell(outcome: DimensionValue<"outcome">, platform: Platform, { since }: Call) {
    const dimensions = { platform, outcome };
    this.#telemetry.count("Turns", 1, dimensions);
    this.#telemetry.count("TurnDuration", elapsedMs(since), dimensions);
    this.#telemetry.count("TurnFailures", Number(outcome === "failed"));
    this.#telemetry.annotate(dimensions);
  }

  #newLease(deadline: Deadline): Lease {
    return { holder: newHolderId(), until: this.#clock.now() + deadline.remaining() + LEASE_MARGIN_MS };
  }
}

/** One user of one owner; the owner alone where nobody has said who it is. */
function spenderOf({ owner, session }: Pick<Call, "owner" | "session">, past: Past): Spender {
  const { platform, userId } = session ?? past.session ?? {};
  return { owner, user: platform !== undefined && userId ? { platform, id: userId } : undefined };
}

const inProgress = (remainingMs: number) =>
  new AppError("aborted", "This message is being answered already. Ask again in a moment.", {
    meta: { retry_after: String(Math.min(MAX_RETRY_AFTER_S, Math.max(1, Math.ceil(remainingMs / 1000)))) },
  });

type Platform = DimensionValue<"platform">;
/** Clients name their platform freely; a metric's dimension must stay bounded. */
const knownPlatform = (name: string): Platform =>
  dimensions.platform.find((platform) => platform === name) ?? "other";

/** By whoever asked (Telegram's `/stop`), and not by the time that ran out. */
const wasStopped = ({ signal }: Deadline) =>
  signal.aborted && signal.reason instanceof Error && signal.reason.name === "AbortError";
