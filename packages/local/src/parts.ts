import { randomBytes } from "node:crypto";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { tableDefinition } from "@parley/core/conversation/dynamo-table";
import { ensureTable } from "./dynamodb/ensure-table.ts";
import { startDynamo } from "./dynamodb/server.ts";
import type { Settings } from "./env.ts";
import { startCalendar } from "./simulators/calendar.ts";
import { startModel } from "./simulators/model.ts";
import { startWeather } from "./simulators/weather.ts";
import { startRedisBackend } from "./upstash/backend.ts";
import { startUpstash } from "./upstash/server.ts";

/** One row of the banner: `real` is what the settings name, `local` what was started here in its place. */
export type PartSummary = { part: string; kind: "real" | "local"; what: string };

/** A part that runs: what the functions have to be told of it (undefined unsets), and how to end it. */
export type Part = {
  summary: PartSummary;
  env?: Record<string, string | undefined>;
  close?: () => Promise<void>;
};

const DEFAULT_TABLE = "parley";

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

async function weather(settings: Settings): Promise<Part> {
  if (settings["WEATHER_API_KEY"] !== undefined) {
    const what = hostOf(settings["WEATHER_API_URL"] ?? "https://api.weatherapi.com");
    return { summary: { part: "Weather", kind: "real", what } };
  }
  const simulator = await startWeather();
  return {
    summary: { part: "Weather", kind: "local", what: "simulated; set WEATHER_API_KEY for WeatherAPI.com" },
    env: { WEATHER_API_URL: simulator.url, WEATHER_API_KEY: "simulated" },
    close: () => simulator.close(),
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

async function redis(settings: Settings): Promise<Part> {
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

async function store(settings: Settings, dataDir: string): Promise<Part> {
  const region = settings["AWS_REGION"] ?? settings["AWS_DEFAULT_REGION"] ?? "us-east-1";
  const table = settings["CONVERSATIONS_TABLE"];
  if (settings["DYNAMODB"] === "aws") {
    if (table === undefined) throw new Error("DYNAMODB=aws needs CONVERSATIONS_TABLE, the table's name");
    const what = `DynamoDB table ${table} in ${region}`;
    return { summary: { part: "Store", kind: "real", what }, env: { AWS_REGION: region } };
  }
  const { url, ...local } = await localStore(settings["AWS_ENDPOINT_URL_DYNAMODB"], dataDir);
  try {
    await ensureTable(url, tableDefinition(table ?? DEFAULT_TABLE));
  } catch (error) {
    await local.close();
    throw error;
  }
  return {
    ...local,
    env: {
      AWS_ENDPOINT_URL_DYNAMODB: url,
      AWS_REGION: region,
      CONVERSATIONS_TABLE: table ?? DEFAULT_TABLE,
      // Any will do, and those of a real account have no business here.
      AWS_ACCESS_KEY_ID: "local",
      AWS_SECRET_ACCESS_KEY: "local",
      AWS_SESSION_TOKEN: undefined,
      AWS_PROFILE: undefined,
    },
  };
}

/** On disk; in memory while another process has the folder, so that a question beside `npm run dev` is answered. */
async function localStore(given: string | undefined, dataDir: string) {
  if (given !== undefined) {
    const summary: PartSummary = { part: "Store", kind: "real", what: `DynamoDB at ${hostOf(given)}` };
    return { url: given, summary, close: async () => {} };
  }
  const path = join(dataDir, "dynamodb");
  await mkdir(path, { recursive: true });
  const { dynamo, where } = await startDynamo({ path })
    .then((onDisk) => ({ dynamo: onDisk, where: `in ${path}` }))
    .catch(async (error: unknown) => {
      if (!isLocked(error)) throw error;
      return { dynamo: await startDynamo(), where: `in memory only: another Parley has ${path}` };
    });
  const summary: PartSummary = { part: "Store", kind: "local", what: `DynamoDB emulated, ${where}` };
  return { url: dynamo.url, summary, close: () => dynamo.close() };
}

function isLocked(error: unknown): boolean {
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    if ((cause as NodeJS.ErrnoException).code === "LEVEL_LOCKED") return true;
  }
  return false;
}

function hostOf(url: string): string {
  return URL.canParse(url) ? new URL(url).host : "an address that is not a URL";
}
