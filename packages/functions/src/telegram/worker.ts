import { injectLambdaContext } from "@aws-lambda-powertools/logger/middleware";
import middy from "@middy/core";
import { Deadline } from "@parley/core/resilience/deadline";
import { DeliveryPostponedError } from "@parley/core/telegram/delivery";
import { MAX_ATTEMPTS, type Update } from "@parley/core/telegram/worker";
import { elapsedMs } from "@parley/core/telemetry";
import type { Context, SQSBatchResponse, SQSEvent, SQSRecord } from "aws-lambda";
import { config } from "../config.ts";
import { tracing } from "../http/chain.ts";
import { metering } from "../metering.ts";
import { logger, telemetry } from "../observability.ts";
import { once } from "../once.ts";
import { queuedBody, UpdateQueue } from "./queue.ts";
import { workerFor } from "./workers.ts";

/** Time kept back from Lambda's for the last writes, in milliseconds. */
const MARGIN_MS = 1_000;
/** A failed update comes back after 5, 20 and 80 seconds: the chat waits for it, so not after the whole visibility timeout. */
const BACKOFF_S = { first: 5, factor: 4 };
/** What SQS can hide a message for. */
const MAX_BACKOFF_S = 43_200;

const queue = once(() => new UpdateQueue(config.telegramQueueUrl));

/**
 * Answers queued updates. Records are of one place at a time (batch size 1, FIFO): from the first that fails on, all
 * are given back, so that order holds.
 */
export const handler = middy<SQSEvent, SQSBatchResponse, Error, Context>()
  .use(metering)
  .use(tracing)
  .use(injectLambdaContext(logger, { resetKeys: true }))
  .handler(async ({ Records }, context) => {
    for (const [index, record] of Records.entries()) {
      if (await answered(record, context)) continue;
      return {
        batchItemFailures: Records.slice(index).map(({ messageId }) => ({ itemIdentifier: messageId })),
      };
    }
    return { batchItemFailures: [] };
  });

async function answered(record: SQSRecord, context: Context): Promise<boolean> {
  const { ApproximateReceiveCount, SentTimestamp, AWSTraceHeader } = record.attributes;
  const receives = Number(ApproximateReceiveCount);
  const startedAt = performance.now();
  // A later attempt has waited because the one before it failed.
  if (receives === 1) telemetry.count("TelegramQueueDelay", Math.max(0, Date.now() - Number(SentTimestamp)));
  try {
    const { bot, request_id, update } = queuedBody.parse(JSON.parse(record.body));
    // The request that brought the update, and its trace: one search finds both functions' lines.
    const receiver_trace_id = AWSTraceHeader?.match(/Root=([^;]+)/)?.[1];
    logger.appendKeys({ request_id, receiver_trace_id, bot, update_id: update.update_id });
    const deadline = new Deadline(context.getRemainingTimeInMillis() - MARGIN_MS);
    const worker = await workerFor(bot);
    await worker.handle(update as unknown as Update, receives, deadline);
    logger.info("update", { receives, duration_ms: elapsedMs(startedAt) });
    return true;
  } catch (error) {
    telemetry.count(receives > MAX_ATTEMPTS ? "TelegramDeadLetters" : "TelegramFailedAttempts");
    const duration_ms = elapsedMs(startedAt);
    logger.error("an update was not answered", { receives, duration_ms, error: error as Error });
    await comeBack(record.receiptHandle, backoffOf(error, receives));
    return false;
  }
}

function backoffOf(error: unknown, receives: number): number {
  // It goes to the dead-letter queue when it comes back; the chat has no reason to wait for that.
  if (receives > MAX_ATTEMPTS) return 0;
  const asked = error instanceof DeliveryPostponedError ? error.retryAfterS : 0;
  const own = BACKOFF_S.first * BACKOFF_S.factor ** (receives - 1);
  return Math.min(Math.max(asked, own), MAX_BACKOFF_S);
}

async function comeBack(receiptHandle: string, seconds: number): Promise<void> {
  await queue()
    .comeBack(receiptHandle, seconds)
    .catch((error: Error) => logger.warn("the update comes back after the visibility timeout", { error }));
}
