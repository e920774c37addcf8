import type { Fields } from "../aws-json.ts";

export interface StoredMessage {
  messageId: string;
  body: string;
  approximateReceiveCount: number;
  messageGroupId?: string;
  messageDeduplicationId?: string;
}

export interface Queue {
  name: string;
  url: string;
  arn: string;
  attributes: Record<string, string>;
  /** Gives back the messages whose visibility timeout is over. */
  processTimers(): void;
  /** Resolves when there may be something to receive, and in any case after that many seconds. */
  waitForMessages(seconds: number): Promise<void>;
  inspectMessages(): { ready: StoredMessage[]; inflight: { message: StoredMessage }[] };
  checkDeduplication(id: string): {
    isDuplicate: boolean;
    originalMessageId?: string;
    originalSequenceNumber?: string | undefined;
  };
  enqueue(message: StoredMessage): void;
  /** By receipt handle. */
  inflightMessages: ReadonlyMap<string, { message: StoredMessage }>;
  recordDeduplication(id: string, messageId: string, sequenceNumber?: string): void;
}

export interface Store {
  createQueue(name: string, url: string, arn: string, attributes: Record<string, string>): Queue;
  getQueue(url: string): Queue | undefined;
  getQueueByName(name: string): Queue | undefined;
  processAllTimers(): void;
  /** Ends every wait for messages. */
  shutdown(): void;
}

/** Answers one request, or throws an `SqsError`. */
export type Action = (input: Fields, store: Store) => Fields | Promise<Fields>;

interface SqsErrorShape extends Error {
  statusCode: number;
  queryErrorHeader: string;
  toJSON(): Fields;
}

/**
 * fauxqs's insides, which its package exports through its server alone: the queues, and what each operation does to
 * them. The server is not used: it listens on every interface, and hands messages to clients that have gone away.
 */
const entry = import.meta.resolve("fauxqs");

async function load<T>(path: string): Promise<T> {
  return (await import(new URL(path, entry).href)) as T;
}

const { SqsStore } = await load<{ SqsStore: new () => Store }>("sqs/sqsStore.js");

export const createStore = (): Store => new SqsStore();

export const { SqsError } = await load<{
  SqsError: new (code: string, message: string, statusCode?: number, senderFault?: boolean) => SqsErrorShape;
}>("common/errors.js");

const ACTIONS = [
  "ChangeMessageVisibility",
  "ChangeMessageVisibilityBatch",
  "DeleteMessage",
  "DeleteMessageBatch",
  "GetQueueAttributes",
  "GetQueueUrl",
  "ListQueues",
  "PurgeQueue",
  "ReceiveMessage",
  "SendMessage",
  "SendMessageBatch",
  "SetQueueAttributes",
];

export const actions: ReadonlyMap<string, Action> = new Map(
  await Promise.all(
    ACTIONS.map(async (name): Promise<[string, Action]> => {
      const file = name.charAt(0).toLowerCase() + name.slice(1);
      const exported = await load<Record<string, Action>>(`sqs/actions/${file}.js`);
      const action = exported[file];
      if (action === undefined) throw new Error(`fauxqs has no ${file}`);
      return [name, action];
    }),
  ),
);

// fauxqs takes every character beyond U+FFFF for invalid, all emoji with them; SQS has #x10000 to #x10FFFF in its list.
const INVALID_IN_BODY = /[^\t\n\r\u0020-\uD7FF\uE000-\uFFFD\u{10000}-\u{10FFFF}]/u;
const { INVALID_MESSAGE_BODY_CHAR } = await load<{ INVALID_MESSAGE_BODY_CHAR: RegExp }>("sqs/sqsTypes.js");
INVALID_MESSAGE_BODY_CHAR.test = (body) => INVALID_IN_BODY.test(body);
