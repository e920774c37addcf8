import { TitleCache } from "@parley/core/assistant/title-cache";
import { systemClock as clock } from "@parley/core/clock";
import { Config } from "@parley/core/config";
import type { FastRedis } from "@parley/core/redis/client";
import { TOMBSTONE_KEPT_S } from "@parley/core/telegram/tombstones";
import type { Settings } from "../env.ts";
import { redis as redisPart } from "../parts.ts";
import { type Forgotten, forget } from "./forget.ts";
import type { OpenedStore } from "./opened-store.ts";
import { openRedis } from "./user-keys.ts";
import type { User } from "./user-rows.ts";

export type ForgetArguments = {
  user: User;
  dryRun: boolean;
  withoutRedis: boolean;
  from: string | undefined;
};

const PROGRESS_EVERY = 10_000;

/** `npm run store -- forget`: what it did goes to stdout, how it gets on to stderr. Neither has a word of any message. */
export async function runForget(
  store: OpenedStore,
  settings: Settings,
  { user, dryRun, withoutRedis, from }: ForgetArguments,
): Promise<void> {
  const cache = await openCache(settings, withoutRedis, store.summary.kind === "local");
  try {
    const tools = await store.tools();
    let position: string | undefined;
    try {
      process.stdout.write(`${store.summary.what}\n${cache.what}\n`);
      let toldAt = 0;
      const done = await forget({
        ...tools,
        user,
        dryRun,
        from,
        redis: cache.redis,
        titles: cache.redis && titlesIn(cache.redis, settings),
        now: clock.now,
        told(looked, next) {
          position = next;
          if (looked < toldAt) toldAt = 0;
          if (looked < toldAt + PROGRESS_EVERY) return;
          toldAt = looked;
          process.stderr.write(`${looked} rows looked at\n`);
        },
      });
      process.stdout.write(summary(user, done, dryRun));
    } catch (error) {
      if (position !== undefined) process.stderr.write(`to go on from here: --from ${position}\n`);
      throw error;
    } finally {
      await tools.close();
    }
  } finally {
    await cache.close();
  }
}

const titlesIn = (redis: FastRedis, settings: Settings) =>
  new TitleCache({ redis, model: new Config(settings).modelName, ttlMs: undefined, clock });

type OpenedCache = { what: string; redis: FastRedis | undefined; close(): Promise<void> };

/** @throws when the store is a real one and nobody says which Redis belongs to it, or that it is to be left out */
async function openCache(settings: Settings, without: boolean, isLocal: boolean): Promise<OpenedCache> {
  const named = settings["UPSTASH_REDIS_REST_URL"] ?? settings["REDIS_URL"];
  if (without || (named === undefined && isLocal)) {
    const why = without ? "left out" : "none named; that of the local stack ends with it";
    return { what: `Redis: ${why}`, redis: undefined, close: async () => {} };
  }
  if (named === undefined) {
    throw new Error(
      "UPSTASH_REDIS_REST_URL is not set: the user's keys in Redis would stay. Set it, or say --without-redis",
    );
  }
  const part = await redisPart(settings);
  const { redis } = new Config({ ...settings, ...part.env });
  return {
    what: `Redis: ${part.summary.what}`,
    redis: openRedis(redis.url, redis.token),
    close: async () => part.close?.(),
  };
}

function summary({ platform, userId }: User, done: Forgotten, dryRun: boolean): string {
  const counts: [name: string, count: number | string][] = [
    ["conversations", done.conversations],
    ["messages", done.messages],
    ["chats", done.chats],
    ["answers on their way", done.answers],
    ["keys in Redis", done.keys ?? "not looked at"],
  ];
  return [
    `${dryRun ? "would be erased" : "erased"} of user ${userId} on ${platform}:`,
    ...counts.map(([name, count]) => `  ${name.padEnd(22)} ${count}`),
    dryRun
      ? "nothing was changed"
      : `what they said before and still waits in a queue is dropped, for ${TOMBSTONE_KEPT_S / 86_400} days`,
    "",
  ].join("\n");
}
