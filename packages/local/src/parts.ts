import { randomBytes } from "node:crypto";
import { Config } from "@parley/core/config";
import type { Settings } from "./env.ts";
import { hostOf } from "./host-of.ts";
import type { Part } from "./part.ts";
import { startCalendar } from "./simulators/calendar.ts";
import { startModel } from "./simulators/model.ts";
import { startOpenMeteo } from "./simulators/open-meteo.ts";
import { startWeather } from "./simulators/weather.ts";
import { store } from "./store/part.ts";
import { startRedisBackend } from "./upstash/backend.ts";
import { startUpstash } from "./upstash/server.ts";

/** Every part that the settings do not already name a service for, started side by side. */
export async function startParts(settings: Settings, dataDir: string): Promise<Part[]> {
  const settled = await Promise.allSettled([
    model(settings),
    weather(settings),
    holidays(settings),
    redis(settings),
    store(settings, dataDir),
  ]);
  const parts = settled.filter((each) => each.status === "fulfilled").map((each) => each.value);
  const failure = settled.find((each) => each.status === "rejected");
  if (failure === undefined) return parts;
  await closeParts(parts);
  throw failure.reason;
}

export async function closeParts(parts: readonly Part[]): Promise<void> {
  await Promise.all(parts.map((part) => part.close?.()));
}

async function model(settings: Settings): Promise<Part> {
  const { OPENAI_API_KEY: key, OPENAI_BASE_URL: baseUrl, OPENAI_MODEL: name } = settings;
  if (key !== undefined || baseUrl !== undefined) {
    const what = `${hostOf(baseUrl ?? "https://api.openai.com")}${name === undefined ? "" : `, ${name}`}`;
    // A server of one's own (Ollama, vLLM) asks for no key, but the client library does.
    return { summary: { part: "Model", kind: "real", what }, env: { OPENAI_API_KEY: key ?? "none" } };
  }
  const simulator = await startModel();
  return {
    summary: { part: "Model", kind: "local", what: "simulated; set OPENAI_API_KEY for a real one" },
    env: { OPENAI_BASE_URL: simulator.url, OPENAI_API_KEY: "simulated" },
    close: () => simulator.close(),
  };
}

/** Any of these says that real weather is wanted. */
const REAL_WEATHER = ["WEATHER_PROVIDERS", "WEATHER_API_KEY", "OPEN_METEO_API_KEY", "OPEN_METEO_URL"];

async function weather(settings: Settings): Promise<Part> {
  if (REAL_WEATHER.some((name) => settings[name] !== undefined)) {
    const { providers, weatherApi, openMeteo } = new Config(settings).weather;
    const hosts = { weatherapi: hostOf(weatherApi.baseUrl), "open-meteo": hostOf(openMeteo.forecastUrl) };
    const what = providers.map((name) => hosts[name]).join(", then ");
    return { summary: { part: "Weather", kind: "real", what } };
  }
  // Both, for what is simulated and what is real are never mixed.
  const [first, second] = await Promise.all([startWeather(), startOpenMeteo()]);
  return {
    summary: {
      part: "Weather",
      kind: "local",
      what: "simulated; set WEATHER_PROVIDERS=open-meteo, or WEATHER_API_KEY for WeatherAPI.com",
    },
    env: {
      WEATHER_API_URL: first.url,
      WEATHER_API_KEY: "simulated",
      OPEN_METEO_URL: second.url,
      OPEN_METEO_GEOCODING_URL: second.url,
    },
    async close() {
      await Promise.all([first.close(), second.close()]);
    },
  };
}

async function holidays(settings: Settings): Promise<Part> {
  const link = settings["HOLIDAY_CALENDAR_LINK"];
  if (link !== undefined) return { summary: { part: "Holidays", kind: "real", what: hostOf(link) } };
  const simulator = await startCalendar();
  return {
    summary: { part: "Holidays", kind: "local", what: "simulated; set HOLIDAY_CALENDAR_LINK for your own" },
    env: { HOLIDAY_CALENDAR_LINK: simulator.url },
    close: () => simulator.close(),
  };
}

/** The Redis that the settings name, else one of our own. */
export async function redis(settings: Settings): Promise<Part> {
  const url = settings["UPSTASH_REDIS_REST_URL"];
  if (url !== undefined) {
    if (settings["UPSTASH_REDIS_REST_TOKEN"] === undefined) {
      throw new Error("UPSTASH_REDIS_REST_URL is set, but UPSTASH_REDIS_REST_TOKEN is not");
    }
    return { summary: { part: "Redis", kind: "real", what: hostOf(url) } };
  }
  const backend = await startRedisBackend({ redisUrl: settings["REDIS_URL"] });
  try {
    const upstash = await startUpstash({ backend, token: randomBytes(16).toString("hex") });
    return {
      summary: {
        part: "Redis",
        kind: backend.kind === "external" ? "real" : "local",
        what: backend.description,
      },
      env: { UPSTASH_REDIS_REST_URL: upstash.url, UPSTASH_REDIS_REST_TOKEN: upstash.token },
      async close() {
        await upstash.close();
        await backend.close();
      },
    };
  } catch (error) {
    await backend.close();
    throw error;
  }
}
