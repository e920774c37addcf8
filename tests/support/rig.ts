import { Assistant } from "@parley/core/assistant/assistant";
import { OpenAIChat } from "@parley/core/assistant/openai-chat";
import { Titles } from "@parley/core/assistant/titles";
import { ToolRunner } from "@parley/core/assistant/tool-runner";
import { Conversations } from "@parley/core/conversation/conversations";
import { createDynamoClient } from "@parley/core/conversation/dynamo-client";
import { DynamoStore } from "@parley/core/conversation/dynamo-store";
import { tableDefinition } from "@parley/core/conversation/dynamo-table";
import { createMongoClient } from "@parley/core/conversation/mongo-client";
import { migrateMongo } from "@parley/core/conversation/mongo-schema";
import { MongoStore } from "@parley/core/conversation/mongo-store";
import { HolidayCalendar } from "@parley/core/holidays/holiday-calendar";
import { RedisCircuitStore } from "@parley/core/redis/circuit-store";
import { FastRedis } from "@parley/core/redis/client";
import { Deadline } from "@parley/core/resilience/deadline";
import { Sessions } from "@parley/core/session/sessions";
import * as tools from "@parley/core/tools/index";
import { WeatherApi } from "@parley/core/weather/weather-api";
import { WeatherService } from "@parley/core/weather/weather-service";
import { ensureTable } from "@parley/local/dynamodb/ensure-table";
import { startDynamo } from "@parley/local/dynamodb/server";
import { startMongo } from "@parley/local/mongodb/server";
import { startCalendar } from "@parley/local/simulators/calendar";
import { startModel } from "@parley/local/simulators/model";
import { startWeather } from "@parley/local/simulators/weather";
import { startRedisBackend } from "@parley/local/upstash/backend";
import { startUpstash } from "@parley/local/upstash/server";
import { MovableClock } from "./clock.ts";
import { RecordingTelemetry } from "./telemetry.ts";

const TABLE = "parley";
export const OWNER = "owner";

export type Rig = Awaited<ReturnType<typeof startRig>>;
export type WorkerOptions = { redisTimeoutMs?: number; maxContextTokens?: number; callTimeoutMs?: number };

/**
 * The core on real engines: DynamoDB, Redis behind the Upstash protocol, the simulated model, weather and calendar, all
 * over sockets, and one clock that tests move. Redis has its own.
 */
export async function startRig(
  options: { engine?: "auto" | "redis-server" | "embedded"; store?: "dynamodb" | "mongodb" } = {},
) {
  const clock = new MovableClock();
  const now = () => new Date(clock.now());
  const [dynamo, backend, model, weather, calendar] = await Promise.all([
    startDynamo(),
    startRedisBackend({ engine: options.engine ?? "auto" }),
    startModel({ now }),
    startWeather({ now }),
    startCalendar({ now }),
  ]);
  const upstash = await startUpstash({ backend, token: "test" });
  await ensureTable(dynamo.url, tableDefinition(TABLE));
  const mongo = options.store === "mongodb" ? await startRigMongo() : undefined;

  /** What one Lambda instance builds: its own clients, the shared engines. */
  function worker({
    redisTimeoutMs = 5_000,
    maxContextTokens = 4_000,
    callTimeoutMs = 5_000,
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
    const store = mongo ? mongo.store() : dynamoStore(dynamo.url);
    const sessions = new Sessions({ redis, store, ttlMs: 30 * 60_000, clock });
    const chatModel = new OpenAIChat({ apiKey: "test", baseUrl: model.url, model: "offline-model" });
    const circuit = new RedisCircuitStore({
      redis,
      name: "weatherapi",
      settings: { maxFailures: 3, windowMs: 60_000, cooldownMs: 30_000, leaseMs: 6_000 },
    });
    const provider = new WeatherApi({ baseUrl: weather.url, key: "test" });
    const weatherService = new WeatherService({
      provider,
      circuit,
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
      model: chatModel,
      tools: runner,
      maxContextTokens,
      callTimeoutMs,
      retryPolicy,
      telemetry,
    });
    const titles = new Titles({ model: chatModel, redis, clock, telemetry });
    const conversations = new Conversations({
      store,
      sessions,
      assistant,
      titles,
      historyTurns: Math.ceil(maxContextTokens / 100),
      clock,
      telemetry,
    });
    return {
      telemetry,
      redis,
      store,
      sessions,
      assistant,
      titles,
      runner,
      weather: weatherService,
      holidays,
      conversations,
    };
  }

  return {
    clock,
    dynamo,
    /** Where this rig keeps conversations. */
    storeEngine: mongo?.engine ?? dynamo,
    backend,
    upstash,
    model,
    weather,
    calendar,
    worker,
    deadline: (ms = 20_000) => new Deadline(ms, { clock }),
    async close() {
      await Promise.all([upstash.close(), model.close(), weather.close(), calendar.close(), dynamo.close()]);
      await mongo?.close();
      await backend.close();
    },
  };
}

function dynamoStore(endpoint: string): DynamoStore {
  const credentials = { accessKeyId: "local", secretAccessKey: "local" };
  const client = createDynamoClient({ endpoint, region: "us-east-1", credentials });
  return new DynamoStore({ client, table: TABLE });
}

async function startRigMongo() {
  const engine = await startMongo();
  const clients: ReturnType<typeof createMongoClient>[] = [];
  function connect() {
    const client = createMongoClient(engine.url);
    clients.push(client);
    return client;
  }
  await migrateMongo(connect().db("parley"));
  return {
    engine,
    store: () => new MongoStore({ client: connect(), database: "parley" }),
    async close() {
      await Promise.all(clients.map((client) => client.close()));
      await engine.close();
    },
  };
}
