import { ToolRunner } from "@parley/core/assistant/tool-runner";
import { RedisCircuitStore } from "@parley/core/redis/circuit-store";
import { Deadline } from "@parley/core/resilience/deadline";
import { getWeather } from "@parley/core/tools/get-weather";
import { WeatherApi } from "@parley/core/weather/weather-api";
import { WeatherService } from "@parley/core/weather/weather-service";
import { startWeather, type WeatherSimulator } from "@parley/local/simulators/weather";
import { afterAll, afterEach, beforeAll, beforeEach } from "vitest";
import { HOUR_MS, MovableClock } from "./clock.ts";
import { redisWorker } from "./redis-worker.ts";
import { upstashSuite } from "./upstash-suite.ts";

export const WEATHER_KEY = "weather-key-hunter2";
export const UNAVAILABLE = "Error: The weather service is unavailable right now.";

export type WeatherSetup = { callTimeoutMs?: number; cooldownMs?: number; url?: string; key?: string };

/** The simulated provider and one empty Redis for each test; it is Sunday, 22 November 2026, 14:40:12 UTC. */
export function weatherSuite() {
  const redis = upstashSuite("embedded");
  const clock = new MovableClock();
  const suite = { provider: {} as WeatherSimulator };

  beforeAll(async () => {
    suite.provider = await startWeather({ now: () => new Date(clock.now()) });
  });
  afterAll(() => suite.provider.close());
  beforeEach(async () => {
    setClock("2026-11-22T14:40:12Z");
    await redis.rest.result("FLUSHALL");
  });
  afterEach(() => {
    redis.gateway.fault = undefined;
    suite.provider.reset();
  });

  function setClock(iso: string): void {
    clock.advance(Date.parse(iso) - clock.now());
  }

  /** One Lambda instance: the weather service and the tool before it. */
  function instance(setup: WeatherSetup = {}) {
    const {
      callTimeoutMs = 5_000,
      cooldownMs = HOUR_MS,
      url = suite.provider.url,
      key = WEATHER_KEY,
    } = setup;
    const worker = redisWorker(redis.gateway, { clock });
    const { telemetry } = worker;
    const provider = new WeatherApi({ baseUrl: url, key });
    const circuit = new RedisCircuitStore({
      redis: worker.redis,
      name: provider.name,
      settings: { maxFailures: 3, windowMs: 60_000, cooldownMs, leaseMs: 2 * callTimeoutMs },
    });
    const weather = new WeatherService({
      provider,
      circuit,
      redis: worker.redis,
      retryPolicy: { maxRetries: 3, baseMs: 5, capMs: 20 },
      callTimeoutMs,
      clock,
      telemetry,
    });
    // The runner's own time limit stays out of the way: these tests set deadlines themselves.
    const runner = new ToolRunner({ tools: [getWeather({ weather })], timeoutMs: 60_000, telemetry });

    async function ask(location: unknown, days: unknown = null, ms = 20_000): Promise<string> {
      const given = JSON.stringify({ location, days });
      const call = { type: "tool_call", id: "1", name: "get_weather", arguments: given } as const;
      return (await runner.run(call, new Deadline(ms, { clock }))).content;
    }
    return { ask, telemetry };
  }

  const keys = async () => ((await redis.rest.result("KEYS", "*")) as string[]).toSorted();
  return Object.assign(suite, { redis, clock, setClock, instance, keys });
}

/** The days of a forecast in the tool's words. */
export const datesOf = (text: string) => [...text.matchAll(/^(\d{4}-\d\d-\d\d):/gm)].map(([, date]) => date);
