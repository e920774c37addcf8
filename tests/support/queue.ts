import type { Message, MessageAttributeValue, SendMessageCommandOutput } from "@aws-sdk/client-sqs";
import {
  ChangeMessageVisibilityCommand,
  DeleteMessageCommand,
  ReceiveMessageCommand,
  SendMessageCommand,
  SQSClient,
} from "@aws-sdk/client-sqs";
import type { QueueServer, QueueServerOptions } from "@parley/local/queue/server";
import { startQueue } from "@parley/local/queue/server";

export const QUEUE = "updates.fifo";
export const DEAD = "updates-dead.fifo";
export const VISIBILITY_S = 30;

export type SendOptions = {
  group?: string;
  /** Deduplication id; by default the body. */
  id?: string;
  queue?: string;
  attributes?: Record<string, MessageAttributeValue>;
};

export type ReceiveOptions = { queue?: string; limit?: number; waitS?: number; visibilityS?: number };

/** A local queue with its dead-letter queue, and an SQS client of it. */
export type QueueRig = QueueServer & {
  client: SQSClient;
  send(body: string, options?: SendOptions): Promise<SendMessageCommandOutput>;
  receive(options?: ReceiveOptions): Promise<Message[]>;
  remove(message: Message): Promise<void>;
  /** What was received is not hidden any longer. */
  show(receiptHandle: string): Promise<void>;
};

export async function openQueue(
  options: Partial<QueueServerOptions> & { maxReceiveCount?: number; visibilityTimeoutS?: number } = {},
): Promise<QueueRig> {
  const { maxReceiveCount = 3, visibilityTimeoutS = VISIBILITY_S, ...rest } = options;
  const dlq = { name: DEAD, maxReceiveCount };
  const server = await startQueue({
    queues: [{ name: QUEUE, fifo: true, visibilityTimeoutS, dlq }],
    ...rest,
  });
  const client = createClient(server.url);
  return {
    ...server,
    client,
    send(body, { group = "a", id = body, queue = QUEUE, attributes } = {}) {
      const command = new SendMessageCommand({
        QueueUrl: server.queueUrl(queue),
        MessageBody: body,
        MessageGroupId: group,
        MessageDeduplicationId: id,
        MessageAttributes: attributes,
      });
      return client.send(command);
    },
    async receive({ queue = QUEUE, limit = 1, waitS = 0, visibilityS } = {}) {
      const command = new ReceiveMessageCommand({
        QueueUrl: server.queueUrl(queue),
        MaxNumberOfMessages: limit,
        WaitTimeSeconds: waitS,
        VisibilityTimeout: visibilityS,
        MessageSystemAttributeNames: ["All"],
        MessageAttributeNames: ["All"],
      });
      return (await client.send(command)).Messages ?? [];
    },
    async remove({ ReceiptHandle }) {
      await client.send(new DeleteMessageCommand({ QueueUrl: server.queueUrl(QUEUE), ReceiptHandle }));
    },
    async show(ReceiptHandle) {
      const QueueUrl = server.queueUrl(QUEUE);
      await client.send(
        new ChangeMessageVisibilityCommand({ QueueUrl, ReceiptHandle, VisibilityTimeout: 0 }),
      );
    },
    async close() {
      client.destroy();
      await server.close();
    },
  };
}

export function createClient(endpoint: string): SQSClient {
  return new SQSClient({
    endpoint,
    region: "us-east-1",
    credentials: { accessKeyId: "test", secretAccessKey: "test" },
  });
}

export const bodies = (messages: readonly Message[]) => messages.map(({ Body }) => Body);
