import type { WithoutId } from "mongodb";
import type { Summary } from "../assistant/context-window.ts";
import type { Retention } from "./retention.ts";
import type { Conversation, Lease, Reply, SessionMetadata, Turn } from "./types.ts";

export type ConversationDocument = {
  _id: string;
  owner: string;
  platform: string;
  session?: SessionMetadata;
  title?: string;
  summary?: Summary;
  turn_count: number;
  created_at: number;
  /** Absent while the conversation is being erased, so that no list has it. */
  last_activity?: number;
  erasing?: true;
  expires_at?: Date;
};

export type TurnDocument = {
  conversation_id: string;
  seq: number;
  owner: string;
  turn_id: string;
  digest: string;
  message: string;
  message_id: string;
  created_at: number;
  /** Who said it, in a chat. */
  platform?: string;
  user_id?: string;
  lease?: Lease;
  reply?: Reply;
  expires_at?: Date;
};

export type SessionDocument = {
  owner: string;
  platform: string;
  chat_id: string;
  conversation_id: string;
  user_id: string;
  active_at: number;
  expires_at?: Date;
};

/** For the TTL index: a field of what is not kept for ever. */
export function expiry(retention: Retention, at: number): { expires_at?: Date } {
  const end = retention.endOf(at);
  return end === undefined ? {} : { expires_at: new Date(end) };
}

/** An update that renews the same, or takes back what an earlier setting has left. */
export function renewal<T extends object>(set: T, retention: Retention, at: number) {
  const expires = expiry(retention, at);
  return expires.expires_at
    ? { $set: { ...set, ...expires } }
    : { $set: set, $unset: { expires_at: "" as const } };
}

export const toConversation = (found: ConversationDocument): Conversation => ({
  id: found._id,
  owner: found.owner,
  platform: found.platform,
  session: found.session,
  title: found.title,
  summary: found.summary,
  turnCount: found.turn_count,
  createdAt: found.created_at,
  lastActivity: found.last_activity ?? 0,
});

export const turnDocument = (owner: string, turn: Turn): TurnDocument => ({
  conversation_id: turn.conversationId,
  seq: turn.seq,
  owner,
  turn_id: turn.turnId,
  digest: turn.digest,
  message: turn.message,
  message_id: turn.messageId,
  created_at: turn.createdAt,
  ...(turn.lease && { lease: turn.lease }),
});

export const toTurn = (found: WithoutId<TurnDocument>): Turn => ({
  conversationId: found.conversation_id,
  seq: found.seq,
  turnId: found.turn_id,
  digest: found.digest,
  message: found.message,
  messageId: found.message_id,
  createdAt: found.created_at,
  lease: found.lease,
  reply: found.reply,
});

export const turnKey = ({ conversationId, seq }: Pick<Turn, "conversationId" | "seq">) => ({
  conversation_id: conversationId,
  seq,
});

export const sessionKey = (owner: string, { platform, chatId }: SessionMetadata) => ({
  owner,
  platform,
  chat_id: chatId,
});
