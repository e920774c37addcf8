import { randomBytes } from "node:crypto";
import { commands } from "@parley/core/telegram/texts";
import { queueSettings } from "@parley/functions/telegram/queue-settings";
import { Api } from "grammy/web";
import type { Settings } from "./env.ts";
import { callFunction, createFunction } from "./gateway/function.ts";
import type { FunctionLog } from "./gateway/pool.ts";
import type { Part } from "./part.ts";
import { startPoller } from "./queue/poller.ts";
import { type QueueServer, startQueue } from "./queue/server.ts";
import { type BotApi, LOCAL_BOT, startBotApi } from "./telegram/server.ts";

export const QUEUE = "telegram-updates.fifo";
export const DEAD_LETTERS = "telegram-updates-dlq.fifo";
const MAX_WORKERS = 4;

export type TelegramStack = {
  /** Queue and Bot API, with what the functions have to be told of them. */
  parts: Part[];
  /** The local Bot API; absent where TELEGRAM_BOTS names real bots. */
  botApiUrl: string | undefined;
  /** Starts the worker, and points the local bot's webhook at the gateway. */
  connect(options: {
    gatewayUrl: string;
    taskRoot: URL;
    /** The functions' environment. */
    env: Settings;
    log: (entry: FunctionLog) => void;
  }): Promise<TelegramWorkers>;
};

/** `queueTimeScale`: seconds of the queue in a real one, so that what fails comes back sooner; default 1. */
export type TelegramOptions = { queueTimeScale?: number };

export type TelegramWorkers = { recycle(): void; close(): Promise<void> };

/** The queue between webhook and worker, and a Telegram of one's own unless TELEGRAM_BOTS names real bots. */
export async function startTelegram(
  settings: Settings,
  { queueTimeScale = 1 }: TelegramOptions = {},
): Promise<TelegramStack> {
  const bots = settings["TELEGRAM_BOTS"];
  if (bots !== undefined && settings["TELEGRAM_WEBHOOK_SECRET"] === undefined) {
    throw new Error(
      "TELEGRAM_BOTS is set, but TELEGRAM_WEBHOOK_SECRET is not; `npm run telegram -- secret` makes one",
    );
  }
  const queue = await startQueue({
    queues: [
      {
        name: QUEUE,
        fifo: true,
        visibilityTimeoutS: queueSettings.visibilityTimeoutS,
        dlq: { name: DEAD_LETTERS, maxReceiveCount: queueSettings.maxReceives },
      },
    ],
    timeScale: queueTimeScale,
  });
  const botApi = bots === undefined ? await closingOnFailure(queue, startBotApi()) : undefined;
  return {
    parts: [queuePart(queue), botApi ? localBot(botApi) : realBots(bots ?? "")],
    botApiUrl: botApi?.url,
    async connect({ gatewayUrl, taskRoot, env, log }) {
      const worker = createFunction({
        name: "telegram-worker",
        entry: "telegram/worker.ts",
        taskRoot,
        env: { OPENAI_TIMEOUT_MS: String(queueSettings.modelTimeoutMs), ...env },
        timeoutMs: queueSettings.workerTimeoutS * 1_000,
        maxInstances: MAX_WORKERS,
        log,
      });
      const poller = await startPoller({
        endpoint: queue.url,
        queueUrl: queue.queueUrl(QUEUE),
        queueArn: queue.queueArn(QUEUE),
        invoke: (event) => callFunction(worker, event),
        batchSize: 1,
        maxConcurrency: MAX_WORKERS,
        reportBatchItemFailures: true,
        // What is not answered by then is in the user's hands again: the queue is in memory.
        drainMs: 0,
      });
      const workers: TelegramWorkers = {
        recycle: () => worker.recycle(),
        async close() {
          await Promise.all([poller.close(), worker.close()]);
        },
      };
      const secret = env["TELEGRAM_WEBHOOK_SECRET"] ?? "";
      if (botApi) await closingOnFailure(workers, setWebhook(botApi.url, gatewayUrl, secret));
      return workers;
    },
  };
}

/** What was opened before is not left behind by what comes after it. */
async function closingOnFailure<T>(opened: { close(): Promise<void> }, next: Promise<T>): Promise<T> {
  try {
    return await next;
  } catch (error) {
    await opened.close();
    throw error;
  }
}

const queuePart = (queue: QueueServer): Part => ({
  summary: { part: "Queue", kind: "local", what: "SQS FIFO emulated, in memory" },
  env: { AWS_ENDPOINT_URL_SQS: queue.url, TELEGRAM_QUEUE_URL: queue.queueUrl(QUEUE) },
  close: () => queue.close(),
});

const localBot = (botApi: BotApi): Part => ({
  summary: {
    part: "Telegram",
    kind: "local",
    what: "simulated, `npm run telegram -- chat` talks to it; set TELEGRAM_BOTS for a real one",
  },
  env: {
    TELEGRAM_BOTS: `${LOCAL_BOT.username}=${LOCAL_BOT.token}`,
    TELEGRAM_WEBHOOK_SECRET: randomBytes(32).toString("hex"),
    TELEGRAM_API_ROOT: botApi.url,
  },
  close: () => botApi.close(),
});

function realBots(bots: string): Part {
  const names = bots.split(",").map((one) => `@${one.trim().replace(/^@|=.*$/g, "")}`);
  return { summary: { part: "Telegram", kind: "real", what: names.join(", ") } };
}

async function setWebhook(apiRoot: string, gatewayUrl: string, secret: string): Promise<void> {
  const api = new Api(LOCAL_BOT.token, { apiRoot });
  await api.setWebhook(`${gatewayUrl}/telegram/${LOCAL_BOT.username}`, { secret_token: secret });
  await api.setMyCommands([...commands]);
}
