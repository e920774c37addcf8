import { Redis } from "@upstash/redis";
import { type Clock, Pause, systemClock } from "../clock.ts";
import { silentTelemetry, type Telemetry } from "../telemetry.ts";

export type RedisOptions = {
  url: string;
  token: string;
  /** How long one request may take, in milliseconds. */
  timeoutMs: number;
  /** After a failure, how long further requests fail at once: a dead Redis costs one wait, not one per command. */
  pauseMs?: number;
  clock?: Clock;
  telemetry?: Telemetry;
};

export class RedisUnavailableError extends Error {
  override readonly name = "RedisUnavailableError";
}

/**
 * Upstash's client as a fast path. Every value is a string (deserialisation would turn "123" into a number), nothing
 * is pipelined behind the caller's back (a read would miss the write of its own tick), every request has a time limit.
 * Callers must be able to go on when a command throws, and to repeat it: a reply can be lost after it ran.
 */
export class FastRedis extends Redis {
  constructor(options: RedisOptions) {
    super({
      url: options.url,
      token: options.token,
      automaticDeserialization: false,
      enableAutoPipelining: false,
      enableTelemetry: false,
      retry: { retries: 1, backoff: () => 25 },
      // A function: with a static signal an aborted `get` resolves to null, which looks like a miss.
      signal: () => AbortSignal.timeout(options.timeoutMs),
    });
    const { pauseMs = 1_000, clock = systemClock, telemetry = silentTelemetry } = options;
    const inner = this.client;
    const pause = new Pause(clock);
    this.client = {
      async request(request) {
        if (pause.left() > 0) throw new RedisUnavailableError("Redis failed a moment ago");
        try {
          return await inner.request(request);
        } catch (error) {
          // A command error says that Redis answered; anything else, that it did not. The client's text repeats the
          // whole command, values included: they are nobody's business in a log.
          if (error instanceof Error && error.name === "UpstashError") {
            throw new Error(error.message.replace(/, command was: .*$/s, ""));
          }
          pause.begin(pauseMs);
          telemetry.count("RedisUnavailable");
          telemetry.warn("Redis does not answer: going on without it", { error });
          throw new RedisUnavailableError("Redis does not answer", { cause: error });
        }
      },
    };
  }
}
