import { tableDefinition } from "@parley/core/conversation/dynamo-table";
import { ensureTable } from "@parley/local/dynamodb/ensure-table";
import { startDynamo } from "@parley/local/dynamodb/server";
import { startCalendar } from "@parley/local/simulators/calendar";
import { startModel } from "@parley/local/simulators/model";
import { startWeather } from "@parley/local/simulators/weather";
import { startRedisBackend } from "@parley/local/upstash/backend";
import { startUpstash } from "@parley/local/upstash/server";

const TABLE = "parley";

export type EnginesOptions = {
  redis?: Parameters<typeof startRedisBackend>[0];
  model?: Parameters<typeof startModel>[0];
};

/** The local engines in memory, their counters at hand, and the environment that leads the functions to them. */
export async function startEngines(options: EnginesOptions = {}) {
  const [dynamo, backend, model, weather, calendar] = await Promise.all([
    startDynamo(),
    startRedisBackend(options.redis),
    startModel(options.model),
    startWeather(),
    startCalendar(),
  ]);
  const upstash = await startUpstash({ backend, token: "bench" });
  await ensureTable(dynamo.url, tableDefinition(TABLE));
  const env: Record<string, string> = {
    AUTH_MODE: "none",
    // One client asks as fast as it can.
    API_RATE_LIMIT_RPS: "100000",
    API_RATE_LIMIT_BURST: "100000",
    AWS_ACCESS_KEY_ID: "local",
    AWS_SECRET_ACCESS_KEY: "local",
    AWS_REGION: "us-east-1",
    AWS_ENDPOINT_URL_DYNAMODB: dynamo.url,
    CONVERSATIONS_TABLE: TABLE,
    UPSTASH_REDIS_REST_URL: upstash.url,
    UPSTASH_REDIS_REST_TOKEN: upstash.token,
    OPENAI_API_KEY: "simulated",
    OPENAI_BASE_URL: model.url,
    WEATHER_API_URL: weather.url,
    WEATHER_API_KEY: "simulated",
    HOLIDAY_CALENDAR_LINK: calendar.url,
  };
  return {
    dynamo,
    backend,
    upstash,
    model,
    weather,
    env,
    description: backend.description,
    async close() {
      await Promise.all([upstash.close(), model.close(), weather.close(), calendar.close(), dynamo.close()]);
      await backend.close();
    },
  };
}
