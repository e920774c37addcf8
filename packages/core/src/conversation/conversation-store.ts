import type { Summary } from "../assistant/context-window.ts";
import type { Conversation, Lease, Reply, SessionMetadata, Turn } from "./types.ts";

/** The chat that a turn came through. */
export type SessionClaim = SessionMetadata & {
  /**
   * Conversations that this chat may be in and leave: one that ended by age or is gone. "any" starts anew whatever it
   * is in.
   */
  leaving: string | "any" | undefined;
  /** A chat whose last activity is before this time is in no conversation any more. */
  activeSince: number;
};

export type BeginTurn = {
  conversationId: string;
  /** Turns that the caller has seen; 0 for a conversation that it believes to be new. */
  turnCount: number;
  owner: string;
  platform: string;
  turnId: string;
  digest: string;
  message: string;
  messageId: string;
  lease: Lease;
  now: number;
  session?: SessionClaim | undefined;
  signal?: AbortSignal;
};

export type Begun =
  /** The turn is stored, open, and ours. */
  | { outcome: "begun"; turn: Turn }
  /** This owner has used the turn id before: for this turn. */
  | { outcome: "known"; turn: Turn }
  /** The chat is in another conversation meanwhile. */
  | { outcome: "moved"; conversationId: string };

export type Page<T> = {
  items: T[];
  /** Opaque; absent on the last page. */
  nextToken?: string | undefined;
};

export type PageRequest = { size: number; token?: string | undefined };

/** More messages than this do not come before a conversation has its title, unless the model fails for long. */
export const OPENING_TURNS = 5;

/** What was erased, and what leads to it elsewhere: for the caller to remove. */
export type Erased = {
  turns: number;
  /** The chats that it began in or moved to. */
  chats: SessionMetadata[];
  /** Its first messages, of which a title may have been made. */
  opening: string[];
};

/**
 * Where conversations live. Every method takes as many round trips at turn 1,000 as at turn 1, one in DynamoDB, unless
 * rivals or a repetition make it more; `erase` alone does as much as there is to remove. Reads see
 * every write that was answered before they began, `list` excepted.
 * What its retention says is over is not there, whether or not it has been removed: turns go by their own age, so the first
 * that there is may have any number.
 * All throw AppError: unavailable (throttled, unreachable), deadline_exceeded (the signal ended it), invalid_argument (a
 * page token that is not ours).
 */
export interface ConversationStore {
  /**
   * The head and the newest `turns` turns, oldest first; fewer when they are bigger than the store gives at once.
   * Undefined when there is no such conversation.
   */
  load(
    id: string,
    turns: number,
    signal?: AbortSignal,
  ): Promise<{ conversation: Conversation; turns: Turn[] } | undefined>;

  /** Turns before `seq`, the newest `limit` of them, oldest first; fewer as in `load`. */
  turnsBefore(id: string, seq: number, limit: number, signal?: AbortSignal): Promise<Turn[]>;

  /**
   * Appends an open turn: the conversation's head (created when missing), the turn, its turn id and the chat's
   * whereabouts change together or not at all.
   * @throws AppError not_found when the conversation belongs to another owner, or is gone after being seen
   */
  begin(turn: BeginTurn): Promise<Begun>;

  /** Takes over an open turn whose lease is over at `now`; undefined when somebody else was faster or it is done. */
  claim(turn: Turn, lease: Lease, now: number, signal?: AbortSignal): Promise<Turn | undefined>;

  /** Sets the reply of an open turn that `holder` holds, and the conversation's title. False: it is not held any more. */
  complete(turn: Turn, holder: string, reply: Reply, title?: string): Promise<boolean>;

  /** Ends a lease early, so that a retry need not wait for it. */
  release(turn: Turn, holder: string): Promise<void>;

  /**
   * Sets the conversation's summary, unless it has another one that reaches as far or further. False: it has, or there is no
   * such conversation any more.
   */
  summarise(conversationId: string, summary: Summary, signal?: AbortSignal): Promise<boolean>;

  turn(conversationId: string, seq: number): Promise<Turn | undefined>;

  /** The conversation that a chat is in; undefined when it is in none, or its last activity is before `activeSince`. */
  sessionConversation(
    owner: string,
    session: SessionMetadata,
    activeSince: number,
    signal?: AbortSignal,
  ): Promise<string | undefined>;

  /**
   * The chat leaves its conversation for one that nobody has begun yet; so whoever still remembers the old one (a cache)
   * is told on its next turn that the chat has moved.
   */
  leaveSession(owner: string, session: SessionMetadata, now: number): Promise<void>;

  /**
   * The chat is in its conversation under another chat id too, unless that one is in a conversation already. The old one
   * stays there: what was said before the move may come after it.
   */
  moveSession(owner: string, from: SessionMetadata, to: SessionMetadata): Promise<void>;

  /** An owner's conversations, newest activity first. May lag behind a write by a moment. */
  list(owner: string, page: PageRequest): Promise<Page<Conversation>>;

  /** A conversation's turns after `seq`, oldest first; `more` when there are others behind these. */
  turnsAfter(
    conversationId: string,
    seq: number,
    limit: number,
    signal?: AbortSignal,
  ): Promise<{ turns: Turn[]; more: boolean }>;

  /**
   * Removes an owner's conversation with its turns, turn ids and the chats' whereabouts, whatever of it is over and only not
   * removed yet included. From the first moment nobody can read or continue it; a crash on the way leaves a rest that the
   * next call removes.
   * @returns undefined when the owner has no such conversation
   */
  erase(owner: string, id: string, signal?: AbortSignal): Promise<Erased | undefined>;

  /** Answers when the store does. */
  ping(signal?: AbortSignal): Promise<void>;
}
