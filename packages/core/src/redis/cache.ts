import type { Redis } from "@upstash/redis";
import { type Clock, systemClock } from "../clock.ts";
import { parseJson } from "../json.ts";
import * as z from "../schema.ts";

export type CacheEntry<T> = { value: T; ageMs: number };

/** What the cache asks of Redis. */
export type CacheRedis = Pick<Redis, "get" | "pipeline">;

// Compare and delete: a holder that came late must not free the lock of the one after it.
const RELEASE =
  "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0";

/**
 * Values of one shape with the time at which they were stored. What does not parse any more (another version wrote it)
 * is a miss. When Redis does not answer, reads miss and writes are dropped: the client has reported it by then.
 */
export class Cache<T> {
  readonly #redis: CacheRedis;
  readonly #entry: z.ZodMiniType<{ at: number; value: T }>;
  readonly #clock: Clock;

  constructor(options: { redis: CacheRedis; schema: z.ZodMiniType<T>; clock?: Clock }) {
    this.#redis = options.redis;
    this.#entry = z.object({ at: z.number(), value: options.schema });
    this.#clock = options.clock ?? systemClock;
  }

  async read(key: string): Promise<CacheEntry<T> | undefined> {
    return this.#parse(await this.#redis.get<string>(key).catch(() => null));
  }

  #parse(text: string | null): CacheEntry<T> | undefined {
    if (text === null) return undefined;
    const entry = this.#entry.safeParse(parseJson(text));
    if (!entry.success) return undefined;
    return { value: entry.data.value, ageMs: Math.max(0, this.#clock.now() - entry.data.at) };
  }

  /** Stores for `ttlMs` (for good when absent) and frees the holder's lock, in one request. */
  async write(key: string, value: T, options: { ttlMs?: number; holder?: string } = {}): Promise<void> {
    const text = JSON.stringify({ at: this.#clock.now(), value });
    const request = this.#redis.pipeline();
    request.set(key, text, options.ttlMs ? { px: options.ttlMs } : {});
    if (options.holder) request.eval(RELEASE, [lockKey(key)], [options.holder]);
    await request.exec().catch(() => undefined);
  }

  async remove(keys: readonly string[]): Promise<void> {
    if (keys.length === 0) return;
    const request = this.#redis.pipeline();
    request.del(...keys);
    await request.exec().catch(() => undefined);
  }

  /**
   * The right to refresh a key, for `leaseMs`, and in the same request what the key holds by now: its last holder may
   * have stored that after the caller's read. Repeating the command (its reply was lost) finds the same holder and
   * counts as granted; with Redis gone everybody is granted, for a second request is better than none.
   */
  async claim(
    key: string,
    holder: string,
    leaseMs: number,
  ): Promise<{ granted: boolean; entry: CacheEntry<T> | undefined }> {
    const request = this.#redis.pipeline();
    request.set(lockKey(key), holder, { nx: true, get: true, px: leaseMs });
    request.get(key);
    const [previous, text] = await request
      .exec<[string | null, string | null]>()
      .catch((): [null, null] => [null, null]);
    return { granted: previous === null || previous === holder, entry: this.#parse(text) };
  }

  async unlock(key: string, holder: string): Promise<void> {
    const request = this.#redis.pipeline();
    request.eval(RELEASE, [lockKey(key)], [holder]);
    await request.exec().catch(() => undefined);
  }
}

const lockKey = (key: string) => `lock:${key}`;
