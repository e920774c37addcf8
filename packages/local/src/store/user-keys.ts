import { FastRedis } from "@parley/core/redis/client";
import type { User } from "./user-rows.ts";

/** A chat of an owner's. */
export type OwnedChat = { owner: string; chatId: string };

const AT_ONCE = 1_000;
const TIMEOUT_MS = 5_000;

export const openRedis = (url: string, token: string) => new FastRedis({ url, token, timeoutMs: TIMEOUT_MS });

/**
 * A user's keys in Redis, found by looking at all there are of their kinds: what they spent today, sessions, and what is
 * known of a chat.
 */
export async function* userKeys(
  redis: FastRedis,
  user: User,
  chats: readonly OwnedChat[],
): AsyncIterable<string[]> {
  const [onPlatform, byUser] = [user.platform, user.userId].map((part) => escaped(encodeURIComponent(part)));
  yield* scan(redis, `budget:*:user:${onPlatform}:${byUser}`);
  const theirs = new Set(chats.map(({ owner, chatId }) => JSON.stringify([owner, chatId])));
  for await (const keys of scan(redis, `session:*:${onPlatform}:*`)) {
    const values = await redis.mget<(string | null)[]>(...keys);
    yield keys.filter((key, index) => {
      const [, owner = "", platform, chatId = ""] = partsOf(key);
      if (platform !== user.platform) return false;
      return theirs.has(JSON.stringify([owner, chatId])) || userIn(values[index]) === user.userId;
    });
  }
  if (user.platform !== "telegram") return;
  for await (const keys of scan(redis, "telegram:*")) {
    yield keys.filter((key) => {
      const [, , bot = "", place = ""] = partsOf(key);
      // A private chat and its topics.
      if (place === user.userId || place.startsWith(`${user.userId}:`)) return true;
      return theirs.has(JSON.stringify([`telegram:${bot}`, place]));
    });
  }
}

async function* scan(redis: FastRedis, match: string): AsyncIterable<string[]> {
  let cursor = "0";
  do {
    const [next, keys] = await redis.scan(cursor, { match, count: AT_ONCE });
    if (keys.length > 0) yield keys;
    cursor = String(next);
  } while (cursor !== "0");
}

const escaped = (text: string) => text.replaceAll(/[\\*?[\]]/g, "\\$&");

/** As `joinKey` has joined them. */
const partsOf = (key: string) => key.split(":").map(decoded);

function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

function userIn(value: string | null | undefined): unknown {
  try {
    return value ? (JSON.parse(value) as { user_id?: unknown } | null)?.user_id : undefined;
  } catch {
    return undefined;
  }
}
