import type { Fields, JsonService } from "../aws-json.ts";
import type { Queue, Store, StoredMessage } from "./fauxqs.ts";
import { actions, SqsError } from "./fauxqs.ts";

export type Operations = Pick<JsonService, "execute"> & {
  /** Ends every long poll, now and from now on. */
  close(): void;
};

/** A visibility timeout's and a long poll's limits, in seconds. */
const MAX_VISIBILITY_S = 43_200;
const MAX_WAIT_S = 20;

/** What SQS allows in a group's and a deduplication's id: printable ASCII without the space. */
const ID = /^[!-~]{1,128}$/;

/** SQS as fauxqs has it, made stricter and more exact where the product would notice. */
export function createOperations(store: Store, timeScale: number): Operations {
  let closed = false;

  async function receive(input: Fields, gone: AbortSignal): Promise<Fields> {
    const { WaitTimeSeconds, ...request } = input;
    const queue = store.getQueue(String(input["QueueUrl"]));
    const waitS = Number(WaitTimeSeconds ?? queue?.attributes["ReceiveMessageWaitTimeSeconds"] ?? 0);
    if (queue === undefined || !(waitS >= 0 && waitS <= MAX_WAIT_S)) return call("ReceiveMessage", input);
    const timeoutS = scaled(input["VisibilityTimeout"] ?? Number(queue.attributes["VisibilityTimeout"]));
    const until = performance.now() + waitS * 1000;
    // fauxqs's own long poll would take messages for a client that has hung up, and return early with none.
    const hungUp = aborted(gone);
    while (!gone.aborted && !closed) {
      const reply = await call("ReceiveMessage", {
        ...request,
        WaitTimeSeconds: 0,
        VisibilityTimeout: timeoutS,
      });
      const leftMs = until - performance.now();
      if (reply["Messages"] !== undefined || leftMs <= 0) {
        return wantsTraceHeader(input) ? withTraceHeaders(queue, reply) : reply;
      }
      await Promise.race([queue.waitForMessages(leftMs / 1000), hungUp]);
    }
    return {};
  }

  async function call(operation: string, input: Fields): Promise<Fields> {
    const action = actions.get(operation);
    if (action === undefined) throw new SqsError("InvalidAction", `Unknown action: ${operation}`);
    return action(input, store);
  }

  /** Real seconds of a visibility timeout. */
  function scaled(timeoutS: unknown): number {
    if (!Number.isInteger(timeoutS) || Number(timeoutS) < 0 || Number(timeoutS) > MAX_VISIBILITY_S) {
      throw new SqsError(
        "InvalidParameterValue",
        `Value ${timeoutS} for parameter VisibilityTimeout is invalid. Reason: Must be an integer between 0 and 43200.`,
      );
    }
    return Number(timeoutS) / timeScale;
  }

  function withScaledTimeout(entry: Fields): Fields {
    const timeoutS = entry["VisibilityTimeout"];
    return timeoutS === undefined ? entry : { ...entry, VisibilityTimeout: scaled(timeoutS) };
  }

  async function execute(operation: string, input: Fields, gone: AbortSignal): Promise<Fields> {
    // Else a message whose time is over could still be deleted, as long as nobody has asked for more.
    store.processAllTimers();
    switch (operation) {
      case "ReceiveMessage":
        return receive(input, gone);
      case "SendMessage":
      case "SendMessageBatch":
        for (const message of [input, ...entriesOf(input)]) checkIds(message);
        return keepTraceHeader(store.getQueue(String(input["QueueUrl"])), input, () =>
          call(operation, input),
        );
      case "ChangeMessageVisibility":
        return call(operation, withScaledTimeout(input));
      case "ChangeMessageVisibilityBatch":
        return call(operation, { ...input, Entries: entriesOf(input).map(withScaledTimeout) });
      default:
        return call(operation, input);
    }
  }

  return {
    execute,
    close() {
      closed = true;
      store.shutdown();
    },
  };
}

function entriesOf(input: Fields): Fields[] {
  const entries = input["Entries"];
  return Array.isArray(entries) ? entries : [];
}

function checkIds(message: Fields): void {
  for (const name of ["MessageGroupId", "MessageDeduplicationId"]) {
    const id = message[name];
    if (id === undefined || (typeof id === "string" && ID.test(id))) continue;
    throw new SqsError(
      "InvalidParameterValue",
      `Value ${id} for parameter ${name} is invalid. Reason: ${name} can only include alphanumeric and punctuation characters. 1 to 128 in length.`,
    );
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    signal.addEventListener("abort", () => resolve(), { once: true });
  });
}

/** What X-Ray follows through a queue; fauxqs has no system attributes of a sender's. */
const traceHeaders = new WeakMap<StoredMessage, string>();

/** `send` puts its message into the queue before it first waits for anything. */
function keepTraceHeader<T>(queue: Queue | undefined, input: Fields, send: () => T): T {
  const { AWSTraceHeader: header, ...others } = Object(input["MessageSystemAttributes"]);
  if (Object.keys(others).length > 0) {
    throw new SqsError("InvalidParameterValue", "AWSTraceHeader is the only message system attribute.");
  }
  if (queue === undefined || header === undefined) return send();
  const { enqueue } = queue;
  queue.enqueue = (message) => {
    traceHeaders.set(message, String(header.StringValue));
    enqueue.call(queue, message);
  };
  try {
    return send();
  } finally {
    queue.enqueue = enqueue;
  }
}

function wantsTraceHeader({ AttributeNames = [], MessageSystemAttributeNames = [] }: Fields): boolean {
  return [AttributeNames, MessageSystemAttributeNames]
    .flat()
    .some((name) => /^(?:All|AWSTraceHeader)$/.test(String(name)));
}

function withTraceHeaders(queue: Queue, reply: Fields): Fields {
  const messages = (reply["Messages"] ?? []) as { ReceiptHandle: string; Attributes?: Fields }[];
  for (const message of messages) {
    const stored = queue.inflightMessages.get(message.ReceiptHandle)?.message;
    const header = stored && traceHeaders.get(stored);
    if (header !== undefined) message.Attributes = { ...message.Attributes, AWSTraceHeader: header };
  }
  return reply;
}

/** Deduplication within `windowMs` of the first message of an id; fauxqs has five real minutes and 10,000 ids. */
export function deduplicate(queue: Queue, windowMs: number): void {
  const seen = new Map<string, { at: number; messageId: string; sequenceNumber: string | undefined }>();
  queue.checkDeduplication = (id) => {
    const earlier = seen.get(id);
    if (earlier === undefined || Date.now() - earlier.at >= windowMs) return { isDuplicate: false };
    const { messageId, sequenceNumber } = earlier;
    return { isDuplicate: true, originalMessageId: messageId, originalSequenceNumber: sequenceNumber };
  };
  queue.recordDeduplication = (id, messageId, sequenceNumber) => {
    const now = Date.now();
    seen.delete(id);
    for (const [oldest, { at }] of seen) {
      if (now - at < windowMs) break;
      seen.delete(oldest);
    }
    seen.set(id, { at: now, messageId, sequenceNumber });
  };
}
