import { ToolRunner } from "@parley/core/assistant/tool-runner";
import { RedisCircuitStore } from "@parley/core/redis/circuit-store";
import { Deadline } from "@parley/core/resilience/deadline";
import { getWeather } from "@parley/core/tools/get-weather";
import { OpenMeteo } from "@parley/core/weather/open-meteo";
import type { ProviderName } from "@parley/core/weather/providers";
import { WeatherApi } from "@parley/core/weather/weather-api";
import { WeatherService } from "@parley/core/weather/weather-service";
import { type OpenMeteoSimulator, startOpenMeteo } from "@parley/local/simulators/open-meteo";
import { startWeather, type WeatherSimulator } from "@parley/local/simulators/weather";
import { afterAll, afterEach, beforeAll, beforeEach } from "vitest";
import { HOUR_MS, MovableClock } from "./clock.ts";
import { redisWorker } from "./redis-worker.ts";
import { upstashSuite } from "./upstash-suite.ts";

export const WEATHER_KEY = "weather-key-hunter2";
export const UNAVAILABLE = "Error: The weather service is unavailable right now.";

export type WeatherSetup = {
  /** In the order in which they are asked; WeatherAPI.com alone unless told. */
  providers?: readonly ProviderName[];
  callTimeoutMs?: number;
  cooldownMs?: number;
  url?: string;
  key?: string;
};

/** The simulated providers and one empty Redis for each test; it is Sunday, 22 November 2026, 14:40:12 UTC. */
export function weatherSuite() {
  const redis = upstashSuite("embedded");
  const clock = new MovableClock();
  const suite = { provider: {} as WeatherSimulator, openMeteo: {} as OpenMeteoSimulator };
  const now = () => new Date(clock.now());

  beforeAll(async () => {
    [suite.provider, suite.openMeteo] = await Promise.all([startWeather({ now }), startOpenMeteo({ now })]);
  });
  afterAll(() => Promise.all([suite.provider.close(), suite.openMeteo.close()]));
  beforeEach(async () => {
    setClock("2026-11-22T14:40:12Z");
    await redis.rest.result("FLUSHALL");
  });
  afterEach(() => {
    redis.gateway.fault = undefined;
    suite.provider.reset();
    suite.openMeteo.reset();
  });

  function setClock(iso: string): void {
    clock.advance(Date.parse(iso) - clock.now());
  }

  /** One Lambda instance: the weather service and the tool before it. */
  function instance(setup: WeatherSetup = {}) {
    const {
      providers = ["weatherapi"],
      callTimeoutMs = 5_000,
      cooldownMs = HOUR_MS,
      url = suite.provider.url,
      key = WEATHER_KEY,
    } = setup;
    const worker = redisWorker(redis.gateway, { clock });
    const { telemetry } = worker;
    const settings = { maxFailures: 3, windowMs: 60_000, cooldownMs, leaseMs: 2 * callTimeoutMs };
    const openMeteo = { forecastUrl: suite.openMeteo.url, geocodingUrl: suite.openMeteo.url };
    const weather = new WeatherService({
      providers: providers.map((name) => ({
        provider: name === "weatherapi" ? new WeatherApi({ baseUrl: url, key }) : new OpenMeteo(openMeteo),
        circuit: new RedisCircuitStore({ redis: worker.redis, name, settings }),
      })),
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
