import { queueSettings } from "../packages/functions/src/telegram/queue-settings.ts";
import { extraFiles } from "./bundle.ts";
import { lambda } from "./functions.ts";
import { redis } from "./redis.ts";
import { answering, telegramBots } from "./secrets.ts";
import { stageOf } from "./stages.ts";
import { mayAnswer, store, storeSettings } from "./storage.ts";

const { workerTimeoutS, visibilityTimeoutS, maxReceives, modelTimeoutMs } = queueSettings;
const FOURTEEN_DAYS_S = 14 * 24 * 3_600;

// A link tells the queue's address and grants nothing: who may send and who may receive is said here.
sst.Linkable.wrap(sst.aws.Queue, (queue) => ({ properties: { url: queue.url } }));

/** Updates that were not answered: kept for as long as SQS can, for somebody to look at and to put back. */
export const deadLetters = new sst.aws.Queue("TelegramDeadLetters", {
  fifo: true,
  transform: { queue: { messageRetentionSeconds: FOURTEEN_DAYS_S } },
});

/** Between receiver and worker: one group a chat. */
export const updates = new sst.aws.Queue("TelegramUpdates", {
  fifo: true,
  visibilityTimeout: `${visibilityTimeoutS} seconds`,
  dlq: { queue: deadLetters.arn, retry: maxReceives },
});

export const maySend = [{ actions: ["sqs:SendMessage"], resources: [updates.arn] }];

export const worker = lambda("TelegramWorker", "telegram/worker.ts", {
  link: [updates, ...store, ...redis, ...answering, telegramBots],
  permissions: [
    ...mayAnswer,
    {
      actions: ["ReceiveMessage", "DeleteMessage", "ChangeMessageVisibility", "GetQueueAttributes"].map(
        (action) => `sqs:${action}`,
      ),
      resources: [updates.arn],
    },
  ],
  environment: { ...storeSettings, OPENAI_TIMEOUT_MS: String(modelTimeoutMs) },
  timeout: `${workerTimeoutS} seconds`,
  files: extraFiles["telegram-worker"] ?? [],
});

// One update at a time: what fails is given back alone, and what follows it in its chat waits.
updates.subscribe(worker.arn, {
  batch: { size: 1, partialResponses: true },
  transform: {
    eventSourceMapping: { scalingConfig: { maximumConcurrency: stageOf($app.stage).telegramWorkers } },
  },
});
