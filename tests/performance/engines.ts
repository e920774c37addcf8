import { startCalendar } from "@parley/local/simulators/calendar";
import { startModel } from "@parley/local/simulators/model";
import { startOpenMeteo } from "@parley/local/simulators/open-meteo";
import { startWeather } from "@parley/local/simulators/weather";
import { startRedisBackend } from "@parley/local/upstash/backend";
import { startUpstash } from "@parley/local/upstash/server";
import { type StoreKind, type StoreOptions, startStoreEngine } from "../support/store-engine.ts";

export type EnginesOptions = {
  redis?: Parameters<typeof startRedisBackend>[0];
  model?: Parameters<typeof startModel>[0];
  store?: StoreOptions;
  storeKind?: StoreKind;
};

/** The local engines in memory, their counters at hand, and the environment that leads the functions to them. */
export async function startEngines(options: EnginesOptions = {}) {
  const [storeEngine, backend, model, weather, openMeteo, calendar] = await Promise.all([
    startStoreEngine(options.storeKind, options.store),
    startRedisBackend(options.redis),
    startModel(options.model),
    startWeather(),
    startOpenMeteo(),
    startCalendar(),
  ]);
  const upstash = await startUpstash({ backend, token: "bench" });
  const env: Record<string, string> = {
    AUTH_MODE: "none",
    // One client asks as fast as it can.
    API_RATE_LIMIT_RPS: "100000",
    API_RATE_LIMIT_BURST: "100000",
    ...storeEngine.env,
    UPSTASH_REDIS_REST_URL: upstash.url,
    UPSTASH_REDIS_REST_TOKEN: upstash.token,
    OPENAI_API_KEY: "simulated",
    OPENAI_BASE_URL: model.url,
    WEATHER_API_URL: weather.url,
    WEATHER_API_KEY: "simulated",
    OPEN_METEO_URL: openMeteo.url,
    OPEN_METEO_GEOCODING_URL: openMeteo.url,
    HOLIDAY_CALENDAR_LINK: calendar.url,
  };
  return {
    storeEngine,
    backend,
    upstash,
    model,
    weather,
    openMeteo,
    env,
    description: backend.description,
    async close() {
      await Promise.all([
        upstash.close(),
        model.close(),
        weather.close(),
        openMeteo.close(),
        calendar.close(),
        storeEngine.close(),
      ]);
      await backend.close();
    },
  };
}
