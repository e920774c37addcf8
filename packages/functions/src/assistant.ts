import { Assistant } from "@parley/core/assistant/assistant";
import { OpenAIChat } from "@parley/core/assistant/openai-chat";
import { Titles } from "@parley/core/assistant/titles";
import { ToolRunner } from "@parley/core/assistant/tool-runner";
import { systemClock as clock } from "@parley/core/clock";
import type { Config } from "@parley/core/config";
import { HolidayCalendar } from "@parley/core/holidays/holiday-calendar";
import { RedisCircuitStore } from "@parley/core/redis/circuit-store";
import type { FastRedis } from "@parley/core/redis/client";
import * as tools from "@parley/core/tools/index";
import { WeatherApi } from "@parley/core/weather/weather-api";
import { WeatherService } from "@parley/core/weather/weather-service";
import { telemetry } from "./observability.ts";

const TOOL_TIMEOUT_MS = 10_000;
const WEATHER_TIMEOUT_MS = 3_000;

/** The part of the container that answers: the model and its tools. */
export function build(config: Config, redis: FastRedis) {
  const { name, timeoutMs, ...connection } = config.model;
  const { retry: retryPolicy, tools: settings } = config;
  const model = new OpenAIChat({ ...connection, model: name });
  const provider = new WeatherApi(settings.weather);
  const weather = new WeatherService({
    provider,
    // A probe's lease outlives the call that it admits.
    circuit: new RedisCircuitStore({
      redis,
      name: provider.name,
      settings: { ...settings.circuit, leaseMs: 2 * WEATHER_TIMEOUT_MS },
    }),
    redis,
    retryPolicy,
    callTimeoutMs: WEATHER_TIMEOUT_MS,
    clock,
    telemetry,
  });
  const holidays = new HolidayCalendar({
    link: settings.calendarLink,
    redis,
    freshMs: settings.calendarFreshMs,
    retryPolicy,
    clock,
    telemetry,
  });
  const runner = new ToolRunner({
    tools: Object.values(tools).map((create) => create({ clock, weather, holidays })),
    timeoutMs: TOOL_TIMEOUT_MS,
    telemetry,
  });
  return {
    assistant: new Assistant({
      model,
      tools: runner,
      maxContextTokens: config.maxContextTokens,
      callTimeoutMs: timeoutMs,
      retryPolicy,
      telemetry,
    }),
    titles: new Titles({ model, redis, clock, telemetry }),
  };
}
