import type { Step, Usage } from "../assistant/chat-model.ts";
import type { Summary } from "../assistant/context-window.ts";

/** Who is talking, for clients that keep no conversation id: one chat of one platform. */
export type SessionMetadata = { platform: string; userId: string; chatId: string };

/** A conversation without its turns. Times are milliseconds since the epoch. */
export type Conversation = {
  id: string;
  /** Who created it, and alone may read it. */
  owner: string;
  platform: string;
  /** The chat that it began in, if any. */
  session?: SessionMetadata | undefined;
  /** Absent until the first turn is complete. */
  title?: string | undefined;
  /** Of its oldest turns, once the context window could not hold them. Lists leave it out. */
  summary?: Summary | undefined;
  /** Turns begun; their sequence is 1 to this without a gap. */
  turnCount: number;
  createdAt: number;
  /** When the last turn began. */
  lastActivity: number;
};

/** Who works on an open turn, and until when nobody else may. */
export type Lease = { holder: string; until: number };

/** What completing a turn adds to it. */
export type Reply = {
  text: string;
  messageId: string;
  at: number;
  steps: Step[];
  usage: Usage;
  /** What the turn weighs in later context windows. */
  tokens: number;
  model: string;
  promptVersion: string;
};

/** Turns of one conversation at the most: keys have room for ten digits. */
export const MAX_SEQ = 9_999_999_998;

/** One user message and, once it is done, its reply. */
export type Turn = {
  conversationId: string;
  /** From 1, in the order in which turns began. */
  seq: number;
  /** The client's name for this turn: sent again, it means this turn and no other. */
  turnId: string;
  /** SHA-256 of what was asked and where, to tell a repetition from another message under the same name. */
  digest: string;
  message: string;
  messageId: string;
  createdAt: number;
  lease?: Lease | undefined;
  /** Absent while the turn is open. */
  reply?: Reply | undefined;
};
