import type { RateLimitSettings } from "@parley/core/config";
import { joinKey } from "@parley/core/redis/keys";
import type { Telemetry } from "@parley/core/telemetry";
import { Ratelimit } from "@upstash/ratelimit";
import type { Redis } from "@upstash/redis";

/** Failed authentications of one address: 5 at once, then one every 6 seconds. */
const FAILED_AUTHENTICATION = { tokens: 1, interval: "6 s", burst: 5 } as const;

/** Headers that tell what is left, and how long to wait when nothing is: seconds, at least 1. */
export type Taken = { headers: Record<string, string>; retryAfterS: number | undefined };

/** Token buckets in Redis, shared by all instances. With Redis down everybody is let through, and counted. */
export class Limits {
  readonly #requests: Ratelimit;
  readonly #failures: Ratelimit;
  readonly #telemetry: Telemetry;

  constructor(options: { redis: Redis; settings: RateLimitSettings; telemetry: Telemetry }) {
    const { redis, settings, telemetry } = options;
    const bucket = { redis, analytics: false, ephemeralCache: false, timeout: 0 } as const;
    this.#requests = new Ratelimit({
      ...bucket,
      limiter: requestBucket(settings),
      prefix: "ratelimit:request",
    });
    const { tokens, interval, burst } = FAILED_AUTHENTICATION;
    this.#failures = new Ratelimit({
      ...bucket,
      limiter: Ratelimit.tokenBucket(tokens, interval, burst),
      prefix: "ratelimit:failed-authentication",
    });
    this.#telemetry = telemetry;
  }

  request(owner: string, sourceIp: string): Promise<Taken> {
    return this.#take(this.#requests, joinKey(owner, sourceIp));
  }

  failedAuthentication(sourceIp: string): Promise<Taken> {
    return this.#take(this.#failures, joinKey(sourceIp));
  }

  async #take(bucket: Ratelimit, key: string): Promise<Taken> {
    // The client of Redis has reported why.
    const taken = await bucket.limit(key).catch(() => undefined);
    if (!taken) {
      this.#telemetry.count("RateLimitUnavailable");
      return { headers: {}, retryAfterS: undefined };
    }
    const { success, limit, remaining, reset } = taken;
    const seconds = Math.max(1, Math.ceil((reset - Date.now()) / 1000));
    if (!success) this.#telemetry.count("RateLimited");
    return {
      headers: {
        "x-ratelimit-limit": String(limit),
        "x-ratelimit-remaining": String(Math.max(0, remaining)),
        "x-ratelimit-reset": String(seconds),
      },
      retryAfterS: success ? undefined : seconds,
    };
  }
}

/**
 * Refilled in the smallest equal steps of whole milliseconds (10 a second: one every 100 ms), for a second's worth at
 * once would make clients wait longer than they must, and come in waves.
 */
function requestBucket({ perSecond, burst }: RateLimitSettings) {
  const steps = greatestCommonDivisor(perSecond, 1_000);
  return Ratelimit.tokenBucket(perSecond / steps, `${1_000 / steps} ms`, burst);
}

const greatestCommonDivisor = (a: number, b: number): number =>
  b === 0 ? a : greatestCommonDivisor(b, a % b);
