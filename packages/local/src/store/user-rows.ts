import type { Erased } from "@parley/core/conversation/conversation-store";
import type { SessionMetadata } from "@parley/core/conversation/types";

export type User = { platform: string; userId: string };

/** What the store keeps of a user: conversations that they began, and what else is theirs without one. */
export type UserRow =
  | { kind: "conversation"; owner: string; id: string; chats: SessionMetadata[] }
  /** Said in a conversation of anybody's. */
  | {
      kind: "message";
      conversationId: string;
      seq: number;
      turnId: string;
      text: string;
    }
  | { kind: "chat"; owner: string; session: SessionMetadata }
  /** On its way to Telegram. */
  | { kind: "answer"; id: string };

export type RowPage = {
  rows: UserRow[];
  /** Rows that were looked at for them. */
  looked: number;
  /** Where the next page begins: to go on from there another time. */
  position?: string | undefined;
};

/** A user's rows in a store, for the operator's tool: finding them may take as long as the store is big. */
export interface UserRows {
  pages(user: User, from?: string): AsyncIterable<RowPage>;
  /** False when it was gone. */
  erase(row: Exclude<UserRow, { kind: "conversation" }>): Promise<boolean>;
  eraseConversation(owner: string, id: string): Promise<Erased | undefined>;
}

/** In a private chat, Telegram's id of the chat is the user's. */
export const privateChat = ({ platform, userId }: User): number | undefined =>
  platform === "telegram" && /^\d{1,20}$/.test(userId) ? Number(userId) : undefined;
