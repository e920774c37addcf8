import type { ChatMessage } from "@parley/core/conversation/messages";
import type { TurnResult } from "@parley/core/conversation/turns";
import type { Conversation, SessionMetadata } from "@parley/core/conversation/types";
import { AppError } from "@parley/core/error";
import { isConversationId } from "@parley/core/id";

/** Between the contract's JSON shape (snake_case, RFC 3339 times, roles as the protocol's enum has them) and the core. */

type WireSession = { platform: string; user_id: string; chat_id: string };

export const sessionOf = (wire: WireSession | undefined): SessionMetadata | undefined =>
  wire && { platform: wire.platform, userId: wire.user_id, chatId: wire.chat_id };

/** @throws AppError not_found for what cannot be an id: whoever asks learns nothing of its form */
export function parseConversationId({
  conversation_id = "",
}: {
  conversation_id?: string | undefined;
}): string {
  if (!isConversationId(conversation_id)) throw new AppError("not_found", "There is no such conversation.");
  return conversation_id;
}

/** A repeated request gets the first one's answer, and is told so. */
export const turnHeaders = ({ replayed }: TurnResult): Record<string, string> =>
  replayed ? { "idempotent-replayed": "true" } : {};

export const turnBody = ({ conversationId, title, reply }: TurnResult) => ({
  conversation_id: conversationId,
  title: title ?? "",
  reply: reply.text,
  usage: {
    model: reply.model,
    input_tokens: reply.usage.input,
    cached_tokens: reply.usage.cached,
    output_tokens: reply.usage.output,
  },
});

export const conversationBody = ({ id, title, lastActivity }: Conversation) => ({
  id,
  title: title ?? "",
  timestamp: timestamp(lastActivity),
});

export const messageBody = ({ id, role, content, at }: ChatMessage) => ({
  id,
  role: role === "user" ? "USER" : "ASSISTANT",
  content,
  timestamp: timestamp(at),
});

const timestamp = (at: number) => new Date(at).toISOString();
