import type { Message } from "@aws-sdk/client-sqs";
import {
  DeleteMessageBatchCommand,
  GetQueueAttributesCommand,
  ReceiveMessageCommand,
  SQSClient,
} from "@aws-sdk/client-sqs";
import { localConfig } from "../local-config.ts";

export type QueueClient = {
  /** Waits up to 20 s for messages; all of their attributes come with them. */
  receive(limit: number, signal: AbortSignal): Promise<Message[]>;
  /** 1 to 10 messages. Throws when any of them was not deleted. */
  remove(receiptHandles: readonly string[]): Promise<void>;
  /** Nothing to receive, nothing in flight, nothing delayed. */
  isEmpty(): Promise<boolean>;
  close(): void;
};

/** The longest that SQS allows, in seconds. */
const LONG_POLL_S = 20;
const REQUEST_TIMEOUT_MS = 5_000;
const COUNTS = [
  "ApproximateNumberOfMessages",
  "ApproximateNumberOfMessagesNotVisible",
  "ApproximateNumberOfMessagesDelayed",
] as const;

/** One queue over the AWS SDK, with its retries. */
export function createQueueClient(options: {
  endpoint: string;
  queueUrl: string;
  region: string;
}): QueueClient {
  const { endpoint, region, queueUrl: QueueUrl } = options;
  const client = new SQSClient({
    ...localConfig(endpoint, region),
    requestHandler: { requestTimeout: REQUEST_TIMEOUT_MS, throwOnRequestTimeout: true },
  });
  return {
    async receive(limit, abortSignal) {
      const command = new ReceiveMessageCommand({
        QueueUrl,
        MaxNumberOfMessages: limit,
        WaitTimeSeconds: LONG_POLL_S,
        MessageSystemAttributeNames: ["All"],
        MessageAttributeNames: ["All"],
      });
      const requestTimeout = LONG_POLL_S * 1000 + REQUEST_TIMEOUT_MS;
      const { Messages = [] } = await client.send(command, { abortSignal, requestTimeout });
      return Messages;
    },
    async remove(receiptHandles) {
      const Entries = receiptHandles.map((ReceiptHandle, at) => ({ Id: String(at), ReceiptHandle }));
      const { Failed = [] } = await client.send(new DeleteMessageBatchCommand({ QueueUrl, Entries }));
      if (Failed.length > 0)
        throw new Error(Failed.map(({ Code, Message }) => `${Code}: ${Message}`).join(", "));
    },
    async isEmpty() {
      const command = new GetQueueAttributesCommand({ QueueUrl, AttributeNames: [...COUNTS] });
      const { Attributes = {} } = await client.send(command);
      return COUNTS.every((name) => Number(Attributes[name]) === 0);
    },
    close: () => client.destroy(),
  };
}
