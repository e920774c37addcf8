import type { Message } from "grammy/types";
import { sha256 } from "../redis/keys.ts";
import { PLATFORM, userIdOf } from "./sessions.ts";

/**
 * A queue keeps a message for 4 days, the dead-letter queue for 14, and whoever puts it back gives it 4 more; a week above
 * that, in seconds.
 */
export const TOMBSTONE_KEPT_S = 29 * 86_400;

/**
 * That a user was erased, and when: nothing can be picked out of a queue, so what they said before is dropped when it comes
 * out. A tombstone holds no name, only a digest.
 */
export interface Tombstones {
  /** @param at in milliseconds since the epoch */
  set(platform: string, userId: string, at: number): Promise<void>;

  /** When the user was erased last, as long as that matters. */
  get(platform: string, userId: string): Promise<number | undefined>;
}

export const tombstoneId = (platform: string, userId: string) => sha256(JSON.stringify([platform, userId]));

/** Whether the sender was erased after saying this: it has no business in the store again. */
export async function wasErasedSince(
  tombstones: Pick<Tombstones, "get">,
  message: Message,
): Promise<boolean> {
  const at = await tombstones.get(PLATFORM, userIdOf(message.from));
  // Telegram tells whole seconds: of one that both fall in, erased.
  return at !== undefined && (message.edit_date ?? message.date) * 1_000 <= at;
}
