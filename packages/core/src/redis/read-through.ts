import { newHolderId } from "../id.ts";
import type { DimensionValue } from "../metrics.ts";
import type { Deadline } from "../resilience/deadline.ts";
import type { Telemetry } from "../telemetry.ts";
import type { Cache, CacheEntry } from "./cache.ts";

export type ReadThroughOptions<T> = {
  cache: Cache<T>;
  key: string;
  /** Up to this age a value is served without asking anyone. */
  freshMs: number;
  /** Up to this age it is served when the source fails (stale-if-error), or while another refreshes it. */
  staleMs: number;
  /** Longer than `load` may take, so that a lock never ends under a live holder. */
  lockMs: number;
  /** Asks the source; `lastResort` says that there is no stale value to fall back to. */
  load: (lastResort: boolean) => Promise<T>;
  /** Failures after which a stale value must not be served: they say something of the question, not of the source. */
  isFinal: (error: unknown) => boolean;
  deadline: Deadline;
  telemetry: Telemetry;
  /** The cache's name in metrics. */
  name: DimensionValue<"cache">;
};

const POLL_MS = 100;

/**
 * Fresh cache, else the source, else stale cache, else the source's error. Of all the instances that miss a key at
 * once, one asks the source (it holds the lock) and the others wait for what it stores, or take the stale value.
 * A holder that fails or dies leaves the lock to the next in line.
 */
export async function readThrough<T>(
  options: ReadThroughOptions<T>,
): Promise<CacheEntry<T> & { stale: boolean }> {
  const { cache, key, deadline, telemetry } = options;
  const dimensions = { cache: options.name };
  const isFresh = (entry: CacheEntry<T>) => entry.ageMs < options.freshMs;
  const hit = (entry: CacheEntry<T>) => {
    telemetry.count("CacheHits", 1, dimensions);
    telemetry.annotate({ cache: "hit" });
    return { ...entry, stale: false };
  };
  const first = await cache.read(key);
  if (first && isFresh(first)) return hit(first);
  const holder = newHolderId();
  for (;;) {
    const { granted, entry } = await cache.claim(key, holder, options.lockMs);
    if (entry && isFresh(entry)) {
      if (granted) await cache.unlock(key, holder);
      return hit(entry);
    }
    const stale = entry && entry.ageMs < options.staleMs ? entry : undefined;
    if (granted) return refresh(options, holder, stale);
    if (stale) {
      telemetry.count("CacheStale", 1, dimensions);
      telemetry.annotate({ cache: "stale" });
      return { ...stale, stale: true };
    }
    await deadline.sleep(POLL_MS);
  }
}

async function refresh<T>(options: ReadThroughOptions<T>, holder: string, stale: CacheEntry<T> | undefined) {
  const { cache, key, telemetry } = options;
  const dimensions = { cache: options.name };
  telemetry.count("CacheMisses", 1, dimensions);
  telemetry.annotate({ cache: "miss" });
  try {
    const value = await options.load(stale === undefined);
    await cache.write(key, value, { ttlMs: options.staleMs, holder });
    return { value, ageMs: 0, stale: false };
  } catch (error) {
    await cache.unlock(key, holder);
    if (!stale || options.isFinal(error)) throw error;
    telemetry.count("CacheStale", 1, dimensions);
    telemetry.annotate({ cache: "stale" });
    telemetry.warn(`${options.name} is refreshed from a stale cache: its source failed`, { error });
    return { ...stale, stale: true };
  }
}
