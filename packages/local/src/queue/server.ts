import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { createHandler } from "../aws-json.ts";
import { createFaults, type Fault, type FaultKind } from "../faults.ts";
import { ACCOUNT_ID, DEFAULT_REGION } from "../gateway/function.ts";
import { noRequests, type Requests } from "../requests.ts";
import { faultError, refusal } from "./errors.ts";
import type { Queue, Store } from "./fauxqs.ts";
import { createStore, SqsError } from "./fauxqs.ts";
import { createOperations, deduplicate } from "./operations.ts";

export type QueueDefinition = {
  /** A FIFO queue's ends in ".fifo". */
  name: string;
  fifo: boolean;
  /** Whole seconds, 0 to 43,200. */
  visibilityTimeoutS: number;
  /** Where a message goes instead of being received for the `maxReceiveCount + 1`st time. Made unless it is listed itself. */
  dlq?: { name: string; maxReceiveCount: number };
};

export type QueueServerOptions = {
  queues: readonly QueueDefinition[];
  /** Default: any free port. */
  port?: number;
  region?: string;
  /**
   * Seconds of the queue in a real one, for drills; default 1. It divides visibility timeouts and the five minutes of
   * deduplication, whatever sets them. Timestamps and the wait of a long poll stay real.
   */
  timeScale?: number;
};

/**
 * As DynamoDB's, by operation ("SendMessage"): `throttle` is RequestThrottled, `error` a 500; a ReceiveMessage that is
 * dropped after it was done leaves its messages in flight.
 */
export type QueueFault = Omit<Fault, "kind"> & { kind: Exclude<FaultKind, "conflict"> };

export type PeekedMessage = {
  messageId: string;
  body: string;
  groupId: string | undefined;
  deduplicationId: string | undefined;
  receiveCount: number;
  inFlight: boolean;
};

export type QueueServer = {
  /** The endpoint to give to SQS clients. */
  url: string;
  /** Throw for a name that is not among the queues. */
  queueUrl(name: string): string;
  queueArn(name: string): string;
  /** What the queue holds, those in flight first, without receiving anything. */
  peek(name: string): PeekedMessage[];
  /** Makes requests fail. Returns what lifts the fault again. */
  inject(fault: QueueFault): () => void;
  /** Totals since the start. */
  requests(): Requests;
  close(): Promise<void>;
};

const DEDUPLICATION_MS = 5 * 60_000;

/**
 * SQS on 127.0.0.1: fauxqs's queues, in memory, behind a front of ours. Requests are not authenticated.
 *
 * Known to differ from Amazon's: one receive returns at most one message of a group; CreateQueue, StartMessageMoveTask,
 * SendMessageBatch's AWSTraceHeader, DeadLetterQueueSourceArn, ReceiveRequestAttemptId and the retention period do not
 * exist; a message that moves to the dead-letter queue arrives there with one receive too many on its count; deleting
 * by an expired receipt deletes nothing, as there, but is answered as a success.
 */
export async function startQueue(options: QueueServerOptions): Promise<QueueServer> {
  const { queues, port = 0, region = DEFAULT_REGION, timeScale = 1 } = options;
  const store = createStore();
  const faults = createFaults();
  const total = noRequests();
  const operations = createOperations(store, timeScale);
  const malformed = (message: string) => new SqsError("SerializationException", message);
  const service = { execute: operations.execute, faultError, malformed, refusal };
  const handle = createHandler(service, faults, total);
  const server = createServer((request, response) => {
    // Only reading the body can fail: the client went away.
    handle(request, response).catch(() => request.socket.destroy());
  });
  // Longer than a client keeps an idle connection, so that none is closed under a request on its way.
  server.keepAliveTimeout = 60_000;
  server.listen(port, "127.0.0.1");
  await once(server, "listening");
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  let closed: Promise<void> | undefined;

  async function close(): Promise<void> {
    const ended = once(server, "close");
    server.close();
    server.closeAllConnections();
    operations.close();
    await ended;
  }

  try {
    createQueues(store, { queues, url, region, windowMs: DEDUPLICATION_MS / timeScale });
  } catch (error) {
    await close();
    throw error;
  }
  return {
    url,
    queueUrl: (name) => find(store, name).url,
    queueArn: (name) => find(store, name).arn,
    peek: (name) => peek(find(store, name)),
    inject: faults.inject,
    requests: () => structuredClone(total),
    close() {
      closed ??= close();
      return closed;
    },
  };
}

function find(store: Store, name: string): Queue {
  const queue = store.getQueueByName(name);
  if (queue === undefined) throw new Error(`there is no queue ${name}`);
  return queue;
}

function peek(queue: Queue): PeekedMessage[] {
  queue.processTimers();
  const { ready, inflight } = queue.inspectMessages();
  const inFlight = inflight.map(({ message }) => message);
  return [...inFlight, ...ready].map((message, at) => ({
    messageId: message.messageId,
    body: message.body,
    groupId: message.messageGroupId,
    deduplicationId: message.messageDeduplicationId,
    receiveCount: message.approximateReceiveCount,
    inFlight: at < inFlight.length,
  }));
}

function createQueues(
  store: Store,
  where: { queues: readonly QueueDefinition[]; url: string; region: string; windowMs: number },
): void {
  const definitions = new Map(where.queues.map((queue) => [queue.name, queue]));
  for (const { dlq, fifo, visibilityTimeoutS } of where.queues) {
    if (dlq === undefined) continue;
    const target = definitions.get(dlq.name) ?? { name: dlq.name, fifo, visibilityTimeoutS };
    if (target.fifo !== fifo) throw new Error(`${dlq.name} must be of its source queue's kind, FIFO or not`);
    definitions.set(target.name, target);
  }
  const arnOf = (name: string) => `arn:aws:sqs:${where.region}:${ACCOUNT_ID}:${name}`;
  for (const { name, fifo, visibilityTimeoutS, dlq } of definitions.values()) {
    if (name.endsWith(".fifo") !== fifo) throw new Error(`${name}: FIFO queues alone end in ".fifo"`);
    const redrive = dlq && { deadLetterTargetArn: arnOf(dlq.name), maxReceiveCount: dlq.maxReceiveCount };
    const queue = store.createQueue(name, `${where.url}/${ACCOUNT_ID}/${name}`, arnOf(name), {
      VisibilityTimeout: String(visibilityTimeoutS),
      ...(fifo ? { FifoQueue: "true", ContentBasedDeduplication: "false" } : {}),
      ...(redrive === undefined ? {} : { RedrivePolicy: JSON.stringify(redrive) }),
    });
    deduplicate(queue, where.windowMs);
  }
}
