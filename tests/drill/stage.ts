import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { MAX_ATTEMPTS } from "@parley/core/telegram/worker";
import type { SqsEvent } from "@parley/local/queue/event";
import { startPoller } from "@parley/local/queue/poller";
import { startModel } from "@parley/local/simulators/model";
import { startOpenMeteo } from "@parley/local/simulators/open-meteo";
import { startWeather } from "@parley/local/simulators/weather";
import { startRedisBackend } from "@parley/local/upstash/backend";
import { startUpstash } from "@parley/local/upstash/server";
import { BOT, startTestBotApi } from "../support/bot-api.ts";
import { openQueue, QUEUE } from "../support/queue.ts";
import { startStoreEngine } from "../support/store-engine.ts";
import { startFront } from "./front.ts";
import { type Group, type Outcome, startInstances } from "./instances.ts";
import { BUDGET_TOKENS, COOLDOWN_S, MAX_FAILURES } from "./limits.ts";
import { latencyOf, reply } from "./model-words.ts";
import { startRecorder } from "./recorder.ts";
import { startWire } from "./wire.ts";

/** Seconds of Telegram and of the queue in a real one: a failed update comes back after 1 and after 4 seconds. */
const TIME_SCALE = 5;
/** A worker keeps 11 s of it back for the sending; the model's part and 5 s are the lease of a turn. */
const WORKER_LIMIT_MS = 15_000;
/** Past that lease, in seconds of the queue. */
const VISIBILITY_S = 12 * TIME_SCALE;

const API: Group = {
  size: 3,
  entries: ["api/start-conversation.ts", "api/continue-conversation.ts", "telegram/webhook.ts"],
  atOnce: 20,
};
const TELEGRAM: Group = { size: 3, entries: ["telegram/worker.ts"], atOnce: 1 };

const env = {
  AUTH_MODE: "none",
  // They are not what is drilled.
  API_RATE_LIMIT_RPS: "100000",
  API_RATE_LIMIT_BURST: "100000",
  OPENAI_API_KEY: "simulated",
  OPENAI_TIMEOUT_MS: "1500",
  WEATHER_API_KEY: "simulated",
  RETRY_BASE_DELAY_MS: "50",
  RETRY_MAX_DELAY_MS: "400",
  CIRCUIT_BREAKER_COOLDOWN_SECONDS: String(COOLDOWN_S),
  CIRCUIT_BREAKER_MAX_FAILURES: String(MAX_FAILURES),
  // Long enough that order can be told from what the model was sent.
  MAX_CONTEXT_TOKENS: "16000",
  BUDGET_USER_TOKENS_PER_DAY: String(BUDGET_TOKENS),
  BUDGET_KEY_TOKENS_PER_DAY: String(BUDGET_TOKENS),
  BUDGET_KEY_USD_PER_DAY: "100000",
  MODEL_PRICE: "1,0.1,8",
  POWERTOOLS_METRICS_DISABLED: "true",
  POWERTOOLS_TRACE_ENABLED: "false",
};

export type Stage = Awaited<ReturnType<typeof startStage>>;

/**
 * The whole service as it is deployed: instances as processes of their own, every engine behind a wire that can fail,
 * and Telegram -> webhook -> FIFO queue -> poller -> worker.
 */
export async function startStage(options: { seed: number; product: string; logFolder: string }) {
  const recorder = startRecorder();
  const [store, backend, model, weather, openMeteo, queue, botApi] = await Promise.all([
    startStoreEngine("dynamodb"),
    startRedisBackend(),
    startModel({ latencyMs: latencyOf(options.seed) }),
    startWeather(),
    startOpenMeteo(),
    openQueue({ timeScale: TIME_SCALE, visibilityTimeoutS: VISIBILITY_S, maxReceiveCount: MAX_ATTEMPTS + 1 }),
    startTestBotApi({ timeScale: TIME_SCALE }),
  ]);
  model.script([reply], { repeat: true });
  const upstash = await startUpstash({ backend, token: "drill" });
  const targets = {
    ...{ store: store.url, redis: upstash.url, model: model.url, weather: weather.url },
    ...{ openMeteo: openMeteo.url, telegram: botApi.url, queue: queue.url },
  };
  const secret = randomBytes(16).toString("hex");
  const wire = await startWire(targets, API.size + TELEGRAM.size, recorder);
  const instances = await startInstances({
    groups: [API, TELEGRAM],
    product: options.product,
    logFolder: options.logFolder,
    env: (instance) => ({
      ...store.env,
      ...env,
      AWS_ENDPOINT_URL_DYNAMODB: wire.url("store", instance),
      UPSTASH_REDIS_REST_URL: wire.url("redis", instance),
      UPSTASH_REDIS_REST_TOKEN: upstash.token,
      OPENAI_BASE_URL: wire.url("model", instance),
      WEATHER_API_URL: wire.url("weather", instance),
      OPEN_METEO_URL: wire.url("openMeteo", instance),
      OPEN_METEO_GEOCODING_URL: wire.url("openMeteo", instance),
      AWS_ENDPOINT_URL_SQS: wire.url("queue", instance),
      TELEGRAM_QUEUE_URL: queue.queueUrl(QUEUE).replace(queue.url, wire.url("queue", instance)),
      TELEGRAM_BOTS: `${BOT.username}=${BOT.token}`,
      TELEGRAM_WEBHOOK_SECRET: secret,
      TELEGRAM_API_ROOT: wire.url("telegram", instance),
      NODE_COMPILE_CACHE: join(options.logFolder, "../compiled"),
    }),
  });
  const front = await startFront((invocation) => instances.invoke(API, invocation));

  /** Of the Telegram worker. */
  const invocations: Outcome[] = [];
  const poller = await startPoller({
    endpoint: queue.url,
    queueUrl: queue.queueUrl(QUEUE),
    queueArn: queue.queueArn(QUEUE),
    async invoke(event: SqsEvent) {
      const outcome = await instances.invoke(TELEGRAM, {
        entry: "telegram/worker.ts",
        event,
        limitMs: WORKER_LIMIT_MS,
      });
      invocations.push(outcome);
      if (outcome.kind !== "result") throw new Error(`the worker: ${outcome.kind}`);
      return outcome.result;
    },
    batchSize: 1,
    maxConcurrency: TELEGRAM.size,
    reportBatchItemFailures: true,
    drainMs: 0,
  });
  await botApi.call("setWebhook", { url: `${front.url}/telegram/${BOT.username}`, secret_token: secret });

  return {
    ...{ recorder, store, backend, upstash, queue, botApi, wire, instances, front, poller, invocations },
    /** The numbers of the instances that serve the API. */
    apiInstances: API.size,
    async close() {
      await poller.close();
      instances.close();
      wire.close();
      await Promise.all([front.close(), botApi.close(), model.close(), weather.close(), openMeteo.close()]);
      await Promise.all([queue.close(), upstash.close(), store.close()]);
      await backend.close();
    },
  };
}
