import { setTimeout as sleep } from "node:timers/promises";
import type { SqsEvent, SqsRecord } from "./event.ts";
import { failedRecords, overtakenGroups, toEvent } from "./event.ts";
import { createQueueClient } from "./queue-client.ts";

/** How a batch ended: `error` and `invalid_response` leave all of it in the queue, `partial` the failed records. */
export type BatchLog = {
  type: "batch";
  result: "success" | "partial" | "error" | "invalid_response";
  messageIds: string[];
  failed: number;
  durationMs: number;
  /** Why it failed. */
  message?: string;
};

export type PollerLog =
  | BatchLog
  /** The function let later messages of these groups overtake a failed one. */
  | { type: "order_broken"; groups: string[] }
  | { type: "queue_failure"; operation: "receive" | "delete"; message: string };

export type PollerOptions = {
  endpoint: string;
  queueUrl: string;
  queueArn: string;
  /** Runs the function. Rejects when it throws, crashes or runs out of time; resolves to what it returned. */
  invoke: (event: SqsEvent) => Promise<unknown>;
  /** Records in an event, 1 to 10. */
  batchSize: number;
  /** Invocations at a time. */
  maxConcurrency: number;
  reportBatchItemFailures: boolean;
  /** How long `close` waits for the invocations under way; default 30 s. */
  drainMs?: number;
  log?: (entry: PollerLog) => void;
};

export type PollerStats = {
  invocations: number;
  records: number;
  deleted: number;
  inFlight: number;
  /** Batches by how they ended. */
  results: Record<BatchLog["result"], number>;
};

export type Poller = {
  /** Resolves when no invocation is under way and the queue holds nothing, in flight or not. Rejects after `close`. */
  idle(): Promise<void>;
  stats(): PollerStats;
  /**
   * Receives nothing more and waits for the invocations under way, up to `drainMs`; what they succeed with is deleted.
   * What is not done by then, or received in the very moment of closing, stays in flight and comes back after its
   * visibility timeout, never earlier.
   */
  close(): Promise<void>;
};

const IDLE_CHECK_MS = 20;
const BACKOFF_MS = { first: 100, most: 5_000 };

/**
 * Lambda's event source for SQS: receives, invokes, and deletes what the function succeeded with. The queue itself
 * keeps the order and sees that a group has one batch under way at a time; what is not deleted returns after its
 * visibility timeout and goes to the dead-letter queue in the end. Receives only what it can invoke at once. Rejects
 * when the queue cannot be reached.
 */
export async function startPoller(options: PollerOptions): Promise<Poller> {
  const { endpoint, queueUrl, queueArn, batchSize, maxConcurrency, drainMs = 30_000 } = options;
  const log = options.log ?? (() => {});
  if (!(batchSize >= 1 && batchSize <= 10)) throw new RangeError(`batchSize is ${batchSize}, not 1 to 10`);
  if (!(maxConcurrency >= 1)) throw new RangeError(`maxConcurrency is ${maxConcurrency}, not 1 or more`);
  const queue = createQueueClient({ endpoint, queueUrl, region: queueArn.split(":")[3] ?? "us-east-1" });
  const stopping = new AbortController();
  const running = new Set<Promise<void>>();
  const results: PollerStats["results"] = { success: 0, partial: 0, error: 0, invalid_response: 0 };
  const total = { invocations: 0, records: 0, deleted: 0 };
  let abandoned = false;

  async function poll(): Promise<void> {
    let backoffMs = BACKOFF_MS.first;
    while (!stopping.signal.aborted) {
      try {
        const messages = await queue.receive(batchSize, stopping.signal);
        backoffMs = BACKOFF_MS.first;
        if (messages.length > 0) start(toEvent(messages, queueArn));
      } catch (error) {
        if (stopping.signal.aborted) return;
        log({ type: "queue_failure", operation: "receive", message: messageOf(error) });
        await sleep(backoffMs, undefined, { signal: stopping.signal }).catch(() => {});
        backoffMs = Math.min(backoffMs * 2, BACKOFF_MS.most);
      }
      while (running.size >= maxConcurrency) await Promise.race(running);
    }
  }

  function start(event: SqsEvent): void {
    const run = handle(event).finally(() => running.delete(run));
    running.add(run);
  }

  async function handle(event: SqsEvent): Promise<void> {
    const startedAt = performance.now();
    total.invocations += 1;
    total.records += event.Records.length;
    const { result, failed, message } = await attempt(event, options);
    results[result] += 1;
    log({
      type: "batch",
      result,
      messageIds: event.Records.map(({ messageId }) => messageId),
      failed: failed.size,
      durationMs: performance.now() - startedAt,
      ...(message === undefined ? {} : { message }),
    });
    const groups = overtakenGroups(event.Records, failed);
    if (groups.length > 0) log({ type: "order_broken", groups });
    const done = event.Records.filter((record) => !failed.has(record));
    if (done.length > 0 && !abandoned) await remove(done);
  }

  async function remove(records: readonly SqsRecord[]): Promise<void> {
    try {
      await queue.remove(records.map(({ receiptHandle }) => receiptHandle));
      total.deleted += records.length;
    } catch (error) {
      // They come back, as to a Lambda poller that could not delete them: delivery is at least once.
      log({ type: "queue_failure", operation: "delete", message: messageOf(error) });
    }
  }

  async function close(): Promise<void> {
    stopping.abort();
    const enough = new AbortController();
    const drained = polling.then(() => Promise.all(running));
    await Promise.race([drained, sleep(drainMs, undefined, { signal: enough.signal })]);
    enough.abort();
    abandoned = true;
    queue.close();
  }

  try {
    await queue.isEmpty();
  } catch (error) {
    queue.close();
    throw error;
  }
  const polling = poll();
  let closed: Promise<void> | undefined;
  return {
    async idle() {
      while (!stopping.signal.aborted) {
        if (running.size === 0 && (await queue.isEmpty()) && running.size === 0) return;
        await sleep(IDLE_CHECK_MS);
      }
      throw new Error("the poller is closed");
    },
    stats: () => ({ ...total, inFlight: running.size, results: { ...results } }),
    close() {
      closed ??= close();
      return closed;
    },
  };
}

type Verdict = { result: BatchLog["result"]; failed: Set<SqsRecord>; message?: string };

async function attempt(
  event: SqsEvent,
  { invoke, reportBatchItemFailures }: Pick<PollerOptions, "invoke" | "reportBatchItemFailures">,
): Promise<Verdict> {
  let response: unknown;
  try {
    response = await invoke(event);
  } catch (error) {
    return { result: "error", failed: new Set(event.Records), message: messageOf(error) };
  }
  if (!reportBatchItemFailures) return { result: "success", failed: new Set() };
  try {
    const failed = failedRecords(response, event.Records);
    return { result: failed.size > 0 ? "partial" : "success", failed };
  } catch (error) {
    return { result: "invalid_response", failed: new Set(event.Records), message: messageOf(error) };
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
