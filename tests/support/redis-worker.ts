import type { Clock } from "@parley/core/clock";
import { FastRedis } from "@parley/core/redis/client";
import { RecordingTelemetry } from "./telemetry.ts";

/** What one Lambda instance has of Redis: a client of its own. */
export function redisWorker(
  gateway: { url: string; token: string },
  options: { clock?: Clock; timeoutMs?: number; pauseMs?: number } = {},
) {
  const { clock, timeoutMs = 10_000, pauseMs } = options;
  const telemetry = new RecordingTelemetry();
  const redis = new FastRedis({
    url: gateway.url,
    token: gateway.token,
    timeoutMs,
    telemetry,
    ...(clock && { clock }),
    ...(pauseMs !== undefined && { pauseMs }),
  });
  return { redis, telemetry };
}
