import { Assistant } from "@parley/core/assistant/assistant";
import { CurrentPrompts } from "@parley/core/assistant/current-prompts";
import { Models } from "@parley/core/assistant/models";
import { Summaries } from "@parley/core/assistant/summaries";
import { Titles } from "@parley/core/assistant/titles";
import { ToolRunner } from "@parley/core/assistant/tool-runner";
import { Budgets } from "@parley/core/budget/budgets";
import { Ledger } from "@parley/core/budget/ledger";
import { priceOf } from "@parley/core/budget/prices";
import { systemClock as clock } from "@parley/core/clock";
import type { Config } from "@parley/core/config";
import { HolidayCalendar } from "@parley/core/holidays/holiday-calendar";
import * as tools from "@parley/core/tools/index";
import type { Shared } from "./container.ts";
import { telemetry } from "./observability.ts";
import { buildWeather } from "./weather.ts";

const TOOL_TIMEOUT_MS = 10_000;
/** Beyond a call's own time limit: who has not settled by then does not any more. */
const SETTLE_MARGIN_MS = 10_000;

/** Of the two drivers only the one that is used is loaded. */
const drivers = {
  chat: async () => (await import("@parley/core/assistant/openai-chat")).OpenAIChat,
  responses: async () => (await import("@parley/core/assistant/openai-responses")).OpenAIResponses,
};

function budgetsOf(config: Config, redis: Shared["redis"]): Budgets | undefined {
  const { budgets: limits, prices } = config;
  if (!limits) return undefined;
  const { timeoutMs, maxOutputTokens } = config.model;
  const ledger = new Ledger({ redis, leaseMs: timeoutMs + SETTLE_MARGIN_MS });
  const price = (model: string) => prices.get(model) ?? priceOf(model);
  return new Budgets({ ledger, limits, priceOf: price, maxOutputTokens, telemetry });
}

async function modelsOf(config: Config, redis: Shared["redis"]): Promise<Models> {
  const { api, name, fallback, timeoutMs, ...connection } = config.model;
  const Driver = await drivers[api]();
  return new Models({
    model: new Driver({ ...connection, model: name }),
    fallback:
      fallback === undefined
        ? undefined
        : new Driver({ ...connection, model: fallback, setting: "OPENAI_FALLBACK_MODEL" }),
    callTimeoutMs: timeoutMs,
    retryPolicy: config.retry,
    budgets: budgetsOf(config, redis),
    clock,
    telemetry,
  });
}

/** The part of the container that answers: the model and its tools. */
export async function build(config: Config, { redis, titleCache, promptStore }: Shared) {
  const models = await modelsOf(config, redis);
  const { retry: retryPolicy, tools: settings } = config;
  const weather = buildWeather(config, redis);
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
  const { maxContextTokens } = config;
  const prompts = new CurrentPrompts({ store: promptStore, clock, telemetry });
  const assistant = new Assistant({ models, prompts, tools: runner, maxContextTokens, telemetry });
  const room = (platform: string) => assistant.room(platform);
  return {
    assistant,
    titles: new Titles({ models, cache: titleCache, telemetry }),
    summaries: new Summaries({ models, room, maxContextTokens, clock, telemetry }),
  };
}
