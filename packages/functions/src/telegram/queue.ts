import { ChangeMessageVisibilityCommand, SendMessageCommand, SQSClient } from "@aws-sdk/client-sqs";
import * as z from "@parley/core/schema";
import { type IncomingUpdate, type Place, placeKey } from "@parley/core/telegram/update";

const CONNECT_TIMEOUT_MS = 1_000;
const REQUEST_TIMEOUT_MS = 3_000;

export type QueuedUpdate = {
  bot: string;
  update: IncomingUpdate;
  place: Place;
  requestId: string;
  /** As in `x-amzn-trace-id`. */
  traceHeader: string | undefined;
};

/** The queue's message body. */
export const queuedBody = z.object({
  bot: z.string(),
  request_id: z.string(),
  update: z.looseObject({ update_id: z.int() }),
});

/** An SQS FIFO queue: one group a place, so a chat's messages are answered in order; deduplicated by update. */
export class UpdateQueue {
  readonly #client = new SQSClient({
    requestHandler: {
      connectionTimeout: CONNECT_TIMEOUT_MS,
      requestTimeout: REQUEST_TIMEOUT_MS,
      throwOnRequestTimeout: true,
    },
  });
  readonly #url: string;

  constructor(url: string) {
    this.#url = url;
  }

  async send(queued: QueuedUpdate, abortSignal: AbortSignal): Promise<void> {
    const { bot, update, place, traceHeader } = queued;
    await this.#client.send(
      new SendMessageCommand({
        QueueUrl: this.#url,
        MessageBody: bodyOf(queued),
        MessageGroupId: `${bot}:${placeKey(place)}`,
        MessageDeduplicationId: `${bot}:${update.update_id}`,
        // X-Ray links the worker's trace to the one that this request belongs to.
        ...(traceHeader && {
          MessageSystemAttributes: { AWSTraceHeader: { DataType: "String", StringValue: traceHeader } },
        }),
      }),
      { abortSignal },
    );
  }

  /** A received message comes again after so many seconds, and not after the queue's own visibility timeout. */
  async comeBack(receiptHandle: string, seconds: number): Promise<void> {
    await this.#client.send(
      new ChangeMessageVisibilityCommand({
        QueueUrl: this.#url,
        ReceiptHandle: receiptHandle,
        VisibilityTimeout: seconds,
      }),
    );
  }
}

/** SQS refuses what XML 1.0 does not allow. JSON escapes all of it but these two, which can only be in a string. */
export const bodyOf = ({ bot, update, requestId }: Pick<QueuedUpdate, "bot" | "update" | "requestId">) =>
  JSON.stringify({ bot, request_id: requestId, update })
    .replaceAll("\ufffe", "\\ufffe")
    .replaceAll("\uffff", "\\uffff");
