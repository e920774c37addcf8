import { randomBytes } from "node:crypto";
import type { Turn } from "@parley/core/conversation/types";
import type { MetricName } from "@parley/core/metrics";
import { MAX_ATTEMPTS } from "@parley/core/telegram/worker";
import { routes } from "@parley/functions/api/routes";
import { callFunction, createFunction } from "@parley/local/gateway/function";
import type { FunctionLog } from "@parley/local/gateway/pool";
import { type GatewayLog, startGateway } from "@parley/local/gateway/server";
import type { SqsEvent } from "@parley/local/queue/event";
import { type PollerLog, startPoller } from "@parley/local/queue/poller";
import type { BotApiOptions } from "@parley/local/telegram/server";
import type { User } from "@parley/local/telegram/types";
import type { SQSBatchResponse } from "aws-lambda";
import { type EnginesOptions, startEngines } from "../performance/engines.ts";
import { allTurns } from "./all-turns.ts";
import { BOT, startTestBotApi } from "./bot-api.ts";
import { fastNow } from "./fast-time.ts";
import { TASK_ROOT } from "./in-process.ts";
import { DEAD, openQueue, QUEUE } from "./queue.ts";
import { type Speaker, speakers } from "./telegram-speaker.ts";
import { restClient } from "./upstash-rest.ts";

export { BOT, type Speaker };

/** Whose the bot's conversations are. */
const OWNER = `telegram:${BOT.username}`;
const SECRET = randomBytes(16).toString("hex");
const WORKER = new URL("functions/telegram-worker.ts", import.meta.url).href;

/** What one update makes the worker talk to. */
export type WorkerEngines = {
  dynamo: string;
  redis: string;
  model: string;
  weather: string;
  telegram: string;
};

export type TelegramRigOptions = {
  /** Simulated seconds in a real one: of the queue, of Telegram, and of the worker's own clock and waits. Default 1. */
  timeScale?: number;
  /** The worker's own, where many workers on few cores must not run out of simulated time. */
  workerTimeScale?: number;
  /** One invocation's limit, and what a message is hidden for; simulated. By default those of the local stack. */
  workerTimeoutMs?: number;
  visibilityTimeoutS?: number;
  /** Instances of the worker, and invocations at a time; default 2. */
  maxWorkers?: number;
  /** False: nothing answers at Redis's address. `upstash.start()` changes that. */
  redis?: boolean;
  /** Beside what leads to the engines, for receiver and worker. */
  env?: Record<string, string>;
  engines?: EnginesOptions;
  botApi?: BotApiOptions;
  /** Other addresses for the worker's engines, of something that stands between. The receiver goes there directly. */
  between?: (engines: WorkerEngines) => WorkerEngines | Promise<WorkerEngines>;
  /** Around every invocation of the worker; aborting the signal kills its instance in the middle. */
  invoke?: (event: SqsEvent, call: (signal?: AbortSignal) => Promise<unknown>) => Promise<unknown>;
};

export type TelegramRig = Awaited<ReturnType<typeof startTelegramRig>>;

/**
 * The bot as it is deployed: Telegram -> gateway with the real webhook -> FIFO queue -> poller -> worker in instances of
 * its own -> DynamoDB, Redis, model, weather, all over sockets.
 */
export async function startTelegramRig(options: TelegramRigOptions = {}) {
  const { timeScale = 1, workerTimeScale = timeScale } = options;
  const { workerTimeoutMs = 120_000, visibilityTimeoutS = 150, maxWorkers = 2 } = options;
  const time = { scale: workerTimeScale, origin: Date.now(), aheadMs: 0 };
  const logs: (FunctionLog | GatewayLog | PollerLog)[] = [];
  const log = (entry: FunctionLog | GatewayLog | PollerLog) => void logs.push(entry);
  const [engines, queue, botApi] = await Promise.all([
    startEngines({
      redis: { engine: "embedded" },
      store: { transactionLifetimeMs: 60_000 / timeScale },
      ...options.engines,
    }),
    openQueue({ timeScale, visibilityTimeoutS, maxReceiveCount: MAX_ATTEMPTS + 1 }),
    startTestBotApi({ timeScale, now: () => new Date(fastNow(time)), ...options.botApi }),
  ]);
  if (options.redis === false) await engines.upstash.stop();
  const own = {
    dynamo: engines.storeEngine.url,
    redis: engines.upstash.url,
    model: engines.model.url,
    weather: engines.weather.url,
    telegram: botApi.url,
  };
  const between = (await options.between?.(own)) ?? own;
  const env: Record<string, string> = {
    ...engines.env,
    AWS_ENDPOINT_URL_SQS: queue.url,
    TELEGRAM_QUEUE_URL: queue.queueUrl(QUEUE),
    TELEGRAM_BOTS: `${BOT.username}=${BOT.token}`,
    TELEGRAM_WEBHOOK_SECRET: SECRET,
    TELEGRAM_API_ROOT: botApi.url,
    POWERTOOLS_SERVICE_NAME: "parley",
    POWERTOOLS_TRACE_ENABLED: "false",
    // Waits of a socket, in the worker's time; longer than a busy machine takes, for what times out is not remembered.
    REDIS_TIMEOUT_MS: String(5_000 * workerTimeScale),
    RETRY_BASE_DELAY_MS: "5",
    ...options.env,
  };
  const gateway = await startGateway({ routes, taskRoot: TASK_ROOT, env, log });
  const worker = createFunction({
    name: "telegram-worker",
    entry: WORKER,
    taskRoot: TASK_ROOT,
    env: {
      ...env,
      ...(engines.storeEngine.kind === "dynamodb" && { AWS_ENDPOINT_URL_DYNAMODB: between.dynamo }),
      UPSTASH_REDIS_REST_URL: between.redis,
      OPENAI_BASE_URL: between.model,
      // One, for a test that stands between sees to each of its requests.
      WEATHER_PROVIDERS: "weatherapi",
      WEATHER_API_URL: between.weather,
      TELEGRAM_API_ROOT: between.telegram,
      WORKER_TIME: JSON.stringify(time),
      WORKER_TIMEOUT_MS: String(workerTimeoutMs),
    },
    timeoutMs: workerTimeoutMs / workerTimeScale,
    maxInstances: maxWorkers,
    log,
  });
  /** Receipts of what failed, by its id: the queue hides it. */
  const hidden = new Map<string, string>();

  async function invoke(event: SqsEvent): Promise<unknown> {
    const around = options.invoke ?? ((_event, call) => call());
    const { aheadMs } = time;
    let failed = true;
    try {
      const result = await around(event, (signal) => callFunction(worker, { ...event, aheadMs }, signal));
      failed = (result as SQSBatchResponse).batchItemFailures.length > 0;
      return result;
    } finally {
      for (const { messageId, receiptHandle } of event.Records) {
        if (failed) hidden.set(messageId, receiptHandle);
        else hidden.delete(messageId);
      }
    }
  }

  const poller = await startPoller({
    endpoint: queue.url,
    queueUrl: queue.queueUrl(QUEUE),
    queueArn: queue.queueArn(QUEUE),
    invoke,
    batchSize: 1,
    maxConcurrency: maxWorkers,
    reportBatchItemFailures: true,
    drainMs: 0,
    log,
  });
  const { control } = botApi;
  await botApi.call("setWebhook", {
    url: `${gateway.url}/telegram/${BOT.username}`,
    secret_token: SECRET,
  });

  const redis = restClient(engines.upstash);
  const store = engines.storeEngine.connect();
  const output = () => logs.flatMap((entry) => (entry.type === "output" ? [entry.line] : []));

  const speaker = speakers(control);

  return {
    ...engines,
    queue,
    botApi,
    control,
    poller,
    worker,
    env,
    /** Somebody who speaks in a chat; in a forum's topic if that is given. */
    speaker,

    /** Somebody new in a private chat with the bot. */
    async person(user: Partial<User> = {}): Promise<Speaker> {
      const { id } = await control.createUser(user);
      await control.createPrivateChat({ user: id });
      return speaker({ chat: id, from: id });
    },

    /**
     * It is so much later: for Telegram, for whatever the worker is invoked for from now on, and for Redis, which has
     * lost what it kept for less. The queue hides nothing of what has failed any longer.
     */
    async passTime(ms: number): Promise<void> {
      time.aheadMs += ms;
      for (const key of (await redis.result("KEYS", "*")) as string[]) {
        const left = Number(await redis.result("PTTL", key));
        if (left >= 0 && left <= ms) await redis.result("DEL", key);
      }
      for (const receipt of hidden.values()) await queue.show(receipt).catch(unlessBack);
      hidden.clear();
    },

    /** Until every update was delivered and every message in the queue answered or given up. */
    async idle(): Promise<void> {
      await control.settled({ timeout_ms: 20_000 });
      await poller.idle();
    },

    /** The chat's turns, oldest first, whatever conversations they are of; in a forum the chat's id is `chat:thread`. */
    async turns(chat: number | string): Promise<Turn[]> {
      const { items } = await store.list(OWNER, { size: 1_000 });
      const own = items.filter(({ session }) => session?.chatId === String(chat));
      const turns = await Promise.all(own.map(({ id }) => allTurns(store, id)));
      return turns.flat().sort((a, b) => a.createdAt - b.createdAt || a.seq - b.seq);
    },

    rows: engines.storeEngine.rows,

    redis,

    /** What the model was asked to reply to, oldest first, of its newest 200 requests. */
    asked: (): Asked[] =>
      engines.model.requests
        .map(({ body }) => JSON.parse(body))
        .filter(isReply)
        .map(toAsked),

    /** Messages in the dead-letter queue, by the ids of their updates where they have one. */
    deadLetters: () =>
      queue.peek(DEAD).map(({ body }): number | undefined => JSON.parse(body).update?.update_id),

    /** What the functions logged, printed, and counted; it arrives a moment after what it tells of. */
    logs,
    output,
    metric: (name: MetricName) => output().reduce((sum, line) => sum + metricIn(line, name), 0),

    async close(): Promise<void> {
      await Promise.all([poller.close(), worker.close(), gateway.close(), botApi.close()]);
      await Promise.all([queue.close(), engines.close()]);
    },
  };
}

export type Asked = { instructions: string; message: string };
type ChatBody = { messages: { role: string; content: string }[]; tools?: unknown };

const isReply = ({ tools }: ChatBody) => tools !== undefined;
const toAsked = ({ messages }: ChatBody): Asked => ({
  instructions: messages[0]?.content ?? "",
  message: messages.findLast(({ role }) => role === "user")?.content ?? "",
});

/** It has come back by itself, or is a dead letter. */
function unlessBack(error: Error): void {
  if (error.name !== "MessageNotInflight") throw error;
}

/** A metric's sum in a line of CloudWatch's embedded metric format; 0 in any other line. */
function metricIn(line: string, name: MetricName): number {
  if (!line.includes('"_aws"')) return 0;
  const values: unknown[] = [JSON.parse(line)[name] ?? 0].flat();
  return values.reduce<number>((sum, value) => sum + Number(value), 0);
}
