import { systemClock as clock } from "@parley/core/clock";
import type { Config } from "@parley/core/config";
import { RedisCircuitStore } from "@parley/core/redis/circuit-store";
import type { FastRedis } from "@parley/core/redis/client";
import { OpenMeteo } from "@parley/core/weather/open-meteo";
import type { ProviderName } from "@parley/core/weather/providers";
import type { WeatherProvider } from "@parley/core/weather/types";
import { WeatherApi } from "@parley/core/weather/weather-api";
import { WeatherService } from "@parley/core/weather/weather-service";
import { telemetry } from "./observability.ts";

const CALL_TIMEOUT_MS = 3_000;

/** The part of the container that knows the weather: the providers of WEATHER_PROVIDERS in their order. */
export function buildWeather(config: Config, redis: FastRedis): WeatherService {
  const { weather, tools, retry: retryPolicy } = config;
  const create: Record<ProviderName, () => WeatherProvider> = {
    weatherapi: () => new WeatherApi(weather.weatherApi),
    "open-meteo": () => new OpenMeteo(weather.openMeteo),
  };
  // A probe's lease outlives the call that it admits.
  const settings = { ...tools.circuit, leaseMs: 2 * CALL_TIMEOUT_MS };
  return new WeatherService({
    providers: weather.providers.map((name) => ({
      provider: create[name](),
      circuit: new RedisCircuitStore({ redis, name, settings }),
    })),
    redis,
    retryPolicy,
    callTimeoutMs: CALL_TIMEOUT_MS,
    clock,
    telemetry,
  });
}
