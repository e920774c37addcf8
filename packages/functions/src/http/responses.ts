import type { TurnResult } from "@parley/core/conversation/conversations";
import type { Conversation, Turn } from "@parley/core/conversation/types";

/** What goes over the wire: snake_case names, RFC 3339 times, roles as the protocol's enum has them. */

const timestamp = (at: number) => new Date(at).toISOString();

/** A repeated request gets the first one's answer, and is told so. */
export const turnHeaders = ({ replayed }: TurnResult): Record<string, string> =>
  replayed ? { "idempotent-replayed": "true" } : {};

export const turnBody = ({ conversationId, title, reply }: TurnResult) => ({
  conversation_id: conversationId,
  title: title ?? "",
  reply: reply.text,
});

export const conversationBody = ({ id, title, lastActivity }: Conversation) => ({
  id,
  title: title ?? "",
  timestamp: timestamp(lastActivity),
});

export const messageBodies = ({ message, messageId, createdAt, reply }: Turn) => [
  { id: messageId, role: "USER", content: message, timestamp: timestamp(createdAt) },
  ...(reply
    ? [{ id: reply.messageId, role: "ASSISTANT", content: reply.text, timestamp: timestamp(reply.at) }]
    : []),
];
