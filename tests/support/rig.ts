import { Assistant } from "@parley/core/assistant/assistant";
import { Models } from "@parley/core/assistant/models";
import { OpenAIChat } from "@parley/core/assistant/openai-chat";
import { Summaries } from "@parley/core/assistant/summaries";
import { TitleCache } from "@parley/core/assistant/title-cache";
import { Titles } from "@parley/core/assistant/titles";
import { ToolRunner } from "@parley/core/assistant/tool-runner";
import { Conversations } from "@parley/core/conversation/conversations";
import { HolidayCalendar } from "@parley/core/holidays/holiday-calendar";
import { RedisCircuitStore } from "@parley/core/redis/circuit-store";
import { FastRedis } from "@parley/core/redis/client";
import { Deadline } from "@parley/core/resilience/deadline";
import { Sessions } from "@parley/core/session/sessions";
import * as tools from "@parley/core/tools/index";
import { WeatherApi } from "@parley/core/weather/weather-api";
import { WeatherService } from "@parley/core/weather/weather-service";
import { startCalendar } from "@parley/local/simulators/calendar";
import { startModel } from "@parley/local/simulators/model";
import { startWeather } from "@parley/local/simulators/weather";
import { startRedisBackend } from "@parley/local/upstash/backend";
import { startUpstash } from "@parley/local/upstash/server";
import { MovableClock } from "./clock.ts";
import { type StoreKind, startStoreEngine } from "./store-engine.ts";
import { RecordingTelemetry } from "./telemetry.ts";

export const OWNER = "owner";

export type Rig = Awaited<ReturnType<typeof startRig>>;
export type WorkerOptions = {
  redisTimeoutMs?: number;
  maxContextTokens?: number;
  callTimeoutMs?: number;
  /** In place of the rig's own. */
  assistant?: Pick<Assistant, "reply">;
};

/**
 * The core on real engines: a store, Redis behind the Upstash protocol, the simulated model, weather and calendar, all
 * over sockets, and one clock that tests move. Redis has its own.
 */
export async function startRig(
  options: { engine?: "auto" | "redis-server" | "embedded"; store?: StoreKind } = {},
) {
  const clock = new MovableClock();
  const now = () => new Date(clock.now());
  const [storeEngine, backend, model, weather, calendar] = await Promise.all([
    startStoreEngine(options.store),
    startRedisBackend({ engine: options.engine ?? "auto" }),
    startModel({ now }),
    startWeather({ now }),
    startCalendar({ now }),
  ]);
  const upstash = await startUpstash({ backend, token: "test" });

  /** What one Lambda instance builds: its own clients, the shared engines. */
  function worker({
    redisTimeoutMs = 5_000,
    maxContextTokens = 4_000,
    callTimeoutMs = 5_000,
    assistant: given,
  }: WorkerOptions = {}) {
    const telemetry = new RecordingTelemetry();
    const retryPolicy = { maxRetries: 3, baseMs: 5, capMs: 20 };
    const redis = new FastRedis({
      url: upstash.url,
      token: upstash.token,
      timeoutMs: redisTimeoutMs,
      clock,
      telemetry,
    });
    const store = storeEngine.connect();
    const sessions = new Sessions({ redis, store, ttlMs: 30 * 60_000, clock });
    const models = new Models({
      model: new OpenAIChat({ apiKey: "test", baseUrl: model.url, model: "offline-model" }),
      callTimeoutMs,
      retryPolicy,
      clock,
      telemetry,
    });
    const circuit = new RedisCircuitStore({
      redis,
      name: "weatherapi",
      settings: { maxFailures: 3, windowMs: 60_000, cooldownMs: 30_000, leaseMs: 6_000 },
    });
    const provider = new WeatherApi({ baseUrl: weather.url, key: "test" });
    const weatherService = new WeatherService({
      providers: [{ provider, circuit }],
      redis,
      retryPolicy,
      callTimeoutMs: 1_000,
      clock,
      telemetry,
    });
    const holidays = new HolidayCalendar({
      link: calendar.url,
      redis,
      freshMs: 24 * 3_600_000,
      retryPolicy,
      clock,
      telemetry,
    });
    const runner = new ToolRunner({
      tools: Object.values(tools).map((create) => create({ clock, weather: weatherService, holidays })),
      timeoutMs: 5_000,
      telemetry,
    });
    const assistant = new Assistant({
      models,
      tools: runner,
      maxContextTokens,
      telemetry,
    });
    const room = (platform: string) => assistant.room(platform);
    const summaries = new Summaries({ models, room, maxContextTokens, clock, telemetry });
    const titleCache = new TitleCache({ redis, model: models.name, ttlMs: undefined, clock });
    const titles = new Titles({ models, cache: titleCache, telemetry });
    const conversations = new Conversations({
      store,
      sessions,
      assistant: given ?? assistant,
      titles,
      summaries,
      titleCache,
      historyTurns: Math.ceil(maxContextTokens / 100),
      clock,
      telemetry,
    });
    return {
      telemetry,
      redis,
      store,
      sessions,
      models,
      assistant,
      titles,
      summaries,
      titleCache,
      runner,
      weather: weatherService,
      holidays,
      conversations,
    };
  }

  return {
    clock,
    storeEngine,
    backend,
    upstash,
    model,
    weather,
    calendar,
    worker,
    deadline: (ms = 20_000) => new Deadline(ms, { clock }),
    async close() {
      await Promise.all([
        upstash.close(),
        model.close(),
        weather.close(),
        calendar.close(),
        storeEngine.close(),
      ]);
      await backend.close();
    },
  };
}
