import type { BeginTurn } from "./conversation-store.ts";
import type { SessionMetadata, Turn } from "./types.ts";

/** The turn as it is stored at its beginning. */
export const openTurn = (turn: BeginTurn, seq: number): Turn => ({
  conversationId: turn.conversationId,
  seq,
  turnId: turn.turnId,
  digest: turn.digest,
  message: turn.message,
  messageId: turn.messageId,
  createdAt: turn.now,
  lease: turn.lease,
});

/** Who said it, in a group one of many: stored beside the turn, for it goes when they want to be forgotten. */
export const speakerOf = ({ session }: BeginTurn) =>
  session && { platform: session.platform, user_id: session.userId };

export const sessionOf = ({ platform, userId, chatId }: SessionMetadata): SessionMetadata => ({
  platform,
  userId,
  chatId,
});
