import type { Message } from "grammy/types";
import type { Conversations } from "../conversation/conversations.ts";
import type { SessionMetadata } from "../conversation/types.ts";
import { type Place, placeKey } from "./update.ts";

export const PLATFORM = "telegram";

export const userIdOf = (from: Message["from"]) => String(from?.id ?? "");

/** Whose conversation a message is in: that of its chat, or in a forum of its topic. */
export const sessionOf = (from: Message["from"], place: Place): SessionMetadata => ({
  platform: PLATFORM,
  chatId: placeKey(place),
  userId: userIdOf(from),
});

/** The chat goes on under another id, as Telegram's groups do. */
export function migrate(
  conversations: Pick<Conversations, "moveSession">,
  owner: string,
  place: Place,
  to: number,
): Promise<void> {
  return conversations.moveSession(
    owner,
    sessionOf(undefined, place),
    sessionOf(undefined, { ...place, chat: to }),
  );
}
