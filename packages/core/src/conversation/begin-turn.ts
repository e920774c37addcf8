import type { Clock } from "../clock.ts";
import { AppError } from "../error.ts";
import { newConversationId, newMessageId } from "../id.ts";
import type { Deadline } from "../resilience/deadline.ts";
import type { Sessions } from "../session/sessions.ts";
import type { Telemetry } from "../telemetry.ts";
import type { Begun, ConversationStore } from "./conversation-store.ts";
import type { Conversation, Lease, SessionMetadata, Turn } from "./types.ts";

/** Where a turn goes: a conversation by id, the one that a chat is in, or a new one. */
export type Target =
  | { kind: "conversation"; id: string }
  | { kind: "session"; session: SessionMetadata }
  | { kind: "new"; platform: string; session: SessionMetadata | undefined };

export type TurnToBegin = {
  owner: string;
  turnId: string;
  digest: string;
  message: string;
  lease: Lease;
  deadline: Deadline;
};

type Loaded = { conversation: Conversation; turns: Turn[] };

/** What came before a turn: the newest turns, oldest first, and what the conversation's head tells. */
export type Past = Pick<Conversation, "platform" | "title" | "summary" | "session"> & { turns: Turn[] };

/** A turn that is ours to answer, or known from before: then `past` is not its own. */
export type BegunTurn = { begun: Exclude<Begun, { outcome: "moved" }>; past: Past };

export const notFound = () => new AppError("not_found", "There is no such conversation.");

/** Finds the conversation of a turn, loads its newest turns, and stores the open turn before anybody asks a model. */
export class TurnBeginner {
  readonly #store: Pick<ConversationStore, "load" | "begin">;
  readonly #sessions: Pick<Sessions, "resolve" | "remember" | "activeSince">;
  readonly #historyTurns: number;
  readonly #clock: Clock;
  readonly #telemetry: Telemetry;

  constructor(options: {
    store: Pick<ConversationStore, "load" | "begin">;
    sessions: Pick<Sessions, "resolve" | "remember" | "activeSince">;
    /** Turns loaded for the context window, whatever the conversation's length. */
    historyTurns: number;
    clock: Clock;
    telemetry: Telemetry;
  }) {
    this.#store = options.store;
    this.#sessions = options.sessions;
    this.#historyTurns = options.historyTurns;
    this.#clock = options.clock;
    this.#telemetry = options.telemetry;
  }

  async begin(target: Target, turn: TurnToBegin): Promise<BegunTurn> {
    turn.deadline.check();
    if (target.kind === "session") return this.#inSession(target.session, turn);
    if (target.kind === "conversation") return this.#inConversation(target.id, turn);
    return this.#inNew(target.platform, target.session, turn);
  }

  async #inConversation(id: string, turn: TurnToBegin): Promise<BegunTurn> {
    const loaded = await this.#load(id, turn.deadline);
    if (loaded?.conversation.owner !== turn.owner) throw notFound();
    return { begun: settled(await this.#append(turn, loaded.conversation)), past: pastOf(loaded) };
  }

  async #inNew(
    platform: string,
    session: SessionMetadata | undefined,
    turn: TurnToBegin,
  ): Promise<BegunTurn> {
    const head = { id: newConversationId(this.#clock.now()), turnCount: 0, platform };
    const begun = settled(await this.#append(turn, head, session, "any"));
    if (session && begun.outcome === "begun") await this.#sessions.remember(turn.owner, session, head.id);
    return { begun, past: nothingBefore(platform, session) };
  }

  /**
   * The store decides which conversation a chat is in, so two first messages at once agree:
   *
   *   A: resolve -> none    begin(X) ok
   *   B: resolve -> none    begin(Y) -> moved to X    load X, begin(X) ok
   */
  async #inSession(session: SessionMetadata, turn: TurnToBegin): Promise<BegunTurn> {
    const resolved = await this.#telemetry.step("session lookup", async () => {
      const found = await this.#sessions.resolve(turn.owner, session, turn.deadline.signal);
      this.#telemetry.annotate({ cache: found?.cached ? "hit" : "miss" });
      return found;
    });
    let id = resolved?.conversationId;
    let leaving: string | undefined;
    for (;;) {
      turn.deadline.check();
      const found = id === undefined ? undefined : await this.#load(id, turn.deadline);
      const loaded = found && this.#isActive(found.conversation, turn.owner) ? found : undefined;
      if (!loaded) leaving = id;
      const head = loaded?.conversation ?? {
        id: newConversationId(this.#clock.now()),
        turnCount: 0,
        platform: session.platform,
      };
      const begun = await this.#append(turn, head, session, leaving);
      if (begun.outcome === "moved") {
        id = begun.conversationId;
        continue;
      }
      const cached = resolved?.cached && resolved.conversationId === head.id;
      this.#telemetry.count("Sessions", 1, { source: cached ? "redis" : loaded ? "store" : "new" });
      // A known turn says nothing of where the chat is by now.
      if (begun.outcome === "begun" && !cached) await this.#sessions.remember(turn.owner, session, head.id);
      return { begun, past: loaded ? pastOf(loaded) : nothingBefore(session.platform, session) };
    }
  }

  /** Redis may remember a chat's conversation for longer than its last activity allows. */
  #isActive(conversation: Conversation, owner: string): boolean {
    return conversation.owner === owner && conversation.lastActivity >= this.#sessions.activeSince();
  }

  #load(id: string, deadline: Deadline): Promise<Loaded | undefined> {
    return this.#telemetry.step("store load", () =>
      this.#store.load(id, this.#historyTurns, deadline.signal),
    );
  }

  #append(
    { deadline, ...turn }: TurnToBegin,
    head: Pick<Conversation, "id" | "turnCount" | "platform">,
    session?: SessionMetadata,
    leaving?: string,
  ): Promise<Begun> {
    const now = this.#clock.now();
    return this.#telemetry.step("store begin", () =>
      this.#store.begin({
        ...turn,
        conversationId: head.id,
        turnCount: head.turnCount,
        platform: head.platform,
        messageId: newMessageId(now),
        now,
        session: session && { ...session, leaving, activeSince: this.#sessions.activeSince() },
        signal: deadline.signal,
      }),
    );
  }
}

export const pastOf = ({ conversation: { title, summary, platform, session }, turns }: Loaded): Past => ({
  turns,
  title,
  summary,
  platform,
  session,
});
const nothingBefore = (platform: string, session: SessionMetadata | undefined): Past => ({
  turns: [],
  platform,
  session,
});

/** Only a turn of a session that leaves nothing can be told that its chat has moved. */
function settled(begun: Begun): Exclude<Begun, { outcome: "moved" }> {
  if (begun.outcome === "moved")
    throw new AppError("aborted", "The chat is in another conversation meanwhile.");
  return begun;
}
