import { setTimeout as sleep } from "node:timers/promises";
import type { FunctionOptions } from "@parley/local/gateway/function";
import { callFunction, createFunction, InvocationError } from "@parley/local/gateway/function";
import type { FunctionLog, Pool } from "@parley/local/gateway/pool";
import type { SqsEvent } from "@parley/local/queue/event";
import type { Poller, PollerLog, PollerOptions } from "@parley/local/queue/poller";
import { startPoller } from "@parley/local/queue/poller";
import type { SQSEvent } from "aws-lambda";
import { afterEach, describe, expect, test, vi } from "vitest";
import type { QueueRig } from "../support/queue.ts";
import { DEAD, openQueue, QUEUE, VISIBILITY_S } from "../support/queue.ts";
import type { ScriptedMessage } from "../support/scripted-queue.ts";
import { startScriptedQueue } from "../support/scripted-queue.ts";

const opened: { close(): Promise<void> }[] = [];
const logs: PollerLog[] = [];

afterEach(async () => {
  vi.useRealTimers();
  // The newest first: a poller before its queue and its function.
  for (const each of opened.splice(0).reverse()) await each.close();
  logs.length = 0;
});

function keep<T extends { close(): Promise<void> }>(part: T): T {
  opened.push(part);
  return part;
}

/** A queue whose clock the test moves: its messages come back only when told to. */
async function open(options: Parameters<typeof openQueue>[0] = {}): Promise<QueueRig> {
  vi.useFakeTimers({ toFake: ["Date"] });
  return keep(await openQueue(options));
}

function passVisibility(): void {
  vi.setSystemTime(Date.now() + VISIBILITY_S * 1000);
}

type Invoke = PollerOptions["invoke"];

async function poll(queue: QueueRig, invoke: Invoke, options: Partial<PollerOptions> = {}): Promise<Poller> {
  return keep(
    await startPoller({
      endpoint: queue.url,
      queueUrl: queue.queueUrl(QUEUE),
      queueArn: queue.queueArn(QUEUE),
      invoke,
      batchSize: 1,
      maxConcurrency: 2,
      reportBatchItemFailures: true,
      log: (entry) => logs.push(entry),
      ...options,
    }),
  );
}

const failing = (...records: { messageId: string }[]) => ({
  batchItemFailures: records.map(({ messageId }) => ({ itemIdentifier: messageId })),
});
const batches = () => logs.filter((entry) => entry.type === "batch");
const settled = (count: number) => vi.waitFor(() => expect(batches()).toHaveLength(count), 10_000);

describe("the event", () => {
  test("is what Lambda makes of a FIFO message", async () => {
    const queue = await open();
    const attributes = {
      kind: { DataType: "String", StringValue: "update" },
      raw: { DataType: "Binary.png", BinaryValue: Uint8Array.of(0, 255) },
    };
    const sent = await queue.send("Hello 🌦️", { group: "weather:1", id: "weather:7", attributes });
    const events: SqsEvent[] = [];
    const poller = await poll(queue, async (event) => void events.push(event));
    await poller.idle();
    const asHandlersTypeIt: SQSEvent[] = events;
    expect(asHandlersTypeIt).toEqual([
      {
        Records: [
          {
            messageId: sent.MessageId,
            receiptHandle: expect.stringMatching(/./),
            body: "Hello 🌦️",
            attributes: {
              ApproximateReceiveCount: "1",
              SentTimestamp: expect.stringMatching(/^\d{13}$/),
              SequenceNumber: sent.SequenceNumber,
              MessageGroupId: "weather:1",
              SenderId: expect.stringMatching(/./),
              MessageDeduplicationId: "weather:7",
              ApproximateFirstReceiveTimestamp: expect.stringMatching(/^\d{13}$/),
            },
            messageAttributes: {
              kind: { stringValue: "update", stringListValues: [], binaryListValues: [], dataType: "String" },
              raw: {
                binaryValue: "AP8=",
                stringListValues: [],
                binaryListValues: [],
                dataType: "Binary.png",
              },
            },
            md5OfBody: sent.MD5OfMessageBody,
            md5OfMessageAttributes: sent.MD5OfMessageAttributes,
            eventSource: "aws:sqs",
            eventSourceARN: "arn:aws:sqs:us-east-1:000000000000:updates.fifo",
            awsRegion: "us-east-1",
          },
        ],
      },
    ]);
  });

  test("has up to batchSize records, and no attributes where none were sent", async () => {
    const queue = await open();
    for (const group of ["a", "b", "c"]) await queue.send(group, { group });
    const events: SqsEvent[] = [];
    const poller = await poll(queue, async (event) => void events.push(event), { batchSize: 2 });
    await poller.idle();
    expect(events.map(({ Records }) => Records.length)).toEqual([2, 1]);
    expect(events[0]?.Records[0]).not.toHaveProperty("md5OfMessageAttributes");
    expect(events[0]?.Records[0]?.messageAttributes).toEqual({});
  });
});

describe("what stays in the queue", () => {
  test.each([undefined, null, "", {}, { batchItemFailures: null }, failing(), { statusCode: 200 }])(
    "nothing after %j",
    async (response) => {
      const queue = await open();
      await queue.send("1");
      await queue.send("2");
      const poller = await poll(queue, async () => response);
      await poller.idle();
      expect(queue.peek(QUEUE)).toEqual([]);
      expect(poller.stats()).toMatchObject({
        invocations: 2,
        records: 2,
        deleted: 2,
        results: { success: 2 },
      });
    },
  );

  test.each([
    ["an empty identifier", { batchItemFailures: [{ itemIdentifier: "" }] }],
    ["a null identifier", { batchItemFailures: [{ itemIdentifier: null }] }],
    ["an unknown identifier", failing({ messageId: "00000000-0000-0000-0000-000000000000" })],
    ["a wrong key", { batchItemFailures: [{ messageId: "x" }] }],
    ["a bare identifier", { batchItemFailures: ["x"] }],
    ["a null entry", { batchItemFailures: [null] }],
    ["no list", { batchItemFailures: "x" }],
    ["a text", "done"],
    ["a list", []],
  ])("the whole batch after %s", async (_name, response) => {
    const queue = await open();
    for (const group of ["a", "b"]) await queue.send(group, { group });
    const poller = await poll(queue, async () => response, { batchSize: 10 });
    await settled(1);
    expect(queue.peek(QUEUE)).toMatchObject([
      { body: "a", inFlight: true },
      { body: "b", inFlight: true },
    ]);
    expect(poller.stats()).toMatchObject({ deleted: 0, results: { invalid_response: 1 } });
  });

  test("one wrong identifier among right ones is the failure of all", async () => {
    const queue = await open();
    for (const group of ["a", "b"]) await queue.send(group, { group });
    await poll(queue, async ({ Records }) => failing(...Records.slice(0, 1), { messageId: "nobody" }), {
      batchSize: 10,
    });
    await settled(1);
    expect(queue.peek(QUEUE)).toHaveLength(2);
  });

  test("the failed records alone, which come back after their time with a higher count", async () => {
    const queue = await open();
    for (const group of ["a", "b", "c"]) await queue.send(group, { group });
    const seen: string[] = [];
    const poller = await poll(
      queue,
      async ({ Records }) => {
        seen.push(...Records.map(({ body, attributes }) => `${body}${attributes.ApproximateReceiveCount}`));
        return failing(...Records.filter((record) => record.body === "b" && seen.length <= 3));
      },
      { batchSize: 10 },
    );
    await settled(1);
    await vi.waitFor(() => expect(queue.peek(QUEUE)).toMatchObject([{ body: "b", inFlight: true }]));
    passVisibility();
    await poller.idle();
    expect(seen).toEqual(["a1", "b1", "c1", "b2"]);
    expect(poller.stats()).toMatchObject({ deleted: 3, results: { partial: 1, success: 1 } });
  });

  test("the whole batch when the function throws", async () => {
    const queue = await open();
    for (const group of ["a", "b"]) await queue.send(group, { group });
    let calls = 0;
    const poller = await poll(
      queue,
      async () => {
        calls += 1;
        if (calls === 1) throw new Error("on purpose");
      },
      { batchSize: 10 },
    );
    await settled(1);
    expect(batches()).toMatchObject([{ result: "error", failed: 2, message: "on purpose" }]);
    expect(queue.peek(QUEUE)).toHaveLength(2);
    passVisibility();
    await poller.idle();
    expect(poller.stats()).toMatchObject({ invocations: 2, records: 4, deleted: 2 });
  });

  test("nothing, whatever the response says, without reportBatchItemFailures", async () => {
    const queue = await open();
    await queue.send("1");
    const poller = await poll(queue, async ({ Records }) => failing(...Records), {
      reportBatchItemFailures: false,
    });
    await poller.idle();
    expect(poller.stats()).toMatchObject({ deleted: 1, results: { success: 1 } });
  });
});

describe("order and the dead-letter queue", () => {
  test("a group has one batch at a time, in order; different groups run side by side", async () => {
    const queue = await open();
    for (const body of ["1", "2", "3"]) {
      for (const group of ["a", "b"]) await queue.send(`${group}${body}`, { group });
    }
    const running = new Set<string | undefined>();
    const seen: string[] = [];
    let most = 0;
    const poller = await poll(queue, async ({ Records: [record] }) => {
      const group = record?.attributes.MessageGroupId;
      expect(running).not.toContain(group);
      running.add(group);
      most = Math.max(most, running.size);
      seen.push(record?.body ?? "");
      await sleep(30);
      running.delete(group);
    });
    await poller.idle();
    expect(most).toBe(2);
    for (const group of ["a", "b"]) {
      expect(seen.filter((body) => body.startsWith(group))).toEqual([`${group}1`, `${group}2`, `${group}3`]);
    }
    expect(poller.stats().results).toEqual({ success: 6, partial: 0, error: 0, invalid_response: 0 });
  });

  test("no more than maxConcurrency at a time, and nothing is received ahead of them", async () => {
    const queue = await open();
    for (const group of ["a", "b", "c", "d", "e"]) await queue.send(group, { group });
    let running = 0;
    const poller = await poll(
      queue,
      async () => {
        running += 1;
        expect(running).toBeLessThanOrEqual(3);
        await sleep(40);
        expect(queue.peek(QUEUE).filter(({ inFlight }) => inFlight).length).toBeLessThanOrEqual(3);
        running -= 1;
      },
      { maxConcurrency: 3 },
    );
    await poller.idle();
    expect(poller.stats().results).toMatchObject({ success: 5, error: 0 });
  });

  test("a poisoned message blocks its group until it is dead, and no other", async () => {
    const queue = await open({ maxReceiveCount: 3 });
    await queue.send("poison");
    await queue.send("next");
    await queue.send("other", { group: "b" });
    const seen: string[] = [];
    const poller = await poll(queue, async ({ Records: [record] }) => {
      seen.push(record?.body ?? "");
      if (record?.body === "poison") throw new Error("on purpose");
    });
    for (const count of [2, 3, 4]) {
      await settled(count);
      passVisibility();
    }
    await poller.idle();
    expect(seen.toSorted()).toEqual(["next", "other", "poison", "poison", "poison"]);
    expect(seen.at(-1)).toBe("next");
    expect(queue.peek(DEAD)).toMatchObject([{ body: "poison", groupId: "a", deduplicationId: "poison" }]);
  });

  test("the dead-letter queue can be polled as well", async () => {
    const queue = await open({ maxReceiveCount: 1 });
    await queue.send("poison");
    const dead: string[] = [];
    const poller = await poll(queue, async () => Promise.reject(new Error("on purpose")));
    const undertaker = await poll(
      queue,
      async ({ Records }) => void dead.push(...Records.map(({ body }) => body)),
      { queueUrl: queue.queueUrl(DEAD), queueArn: queue.queueArn(DEAD) },
    );
    await settled(1);
    passVisibility();
    await poller.idle();
    await vi.waitFor(() => expect(dead).toEqual(["poison"]));
    await undertaker.idle();
  });

  test("a function slower than the visibility timeout meets its message again, and deletes nothing late", async () => {
    const queue = await open();
    await queue.send("slow");
    const seen: string[] = [];
    const gate = Promise.withResolvers<void>();
    const poller = await poll(queue, async ({ Records: [record] }) => {
      seen.push(record?.attributes.ApproximateReceiveCount ?? "");
      if (seen.length === 1) await gate.promise;
      else throw new Error("on purpose");
    });
    await vi.waitFor(() => expect(seen).toEqual(["1"]));
    passVisibility();
    await settled(1);
    gate.resolve();
    await settled(2);
    await vi.waitFor(() => expect(poller.stats().inFlight).toBe(0));
    expect(queue.peek(QUEUE)).toMatchObject([{ body: "slow", receiveCount: 2 }]);
  });
});

describe("several messages of a group in one batch", () => {
  async function run(messages: readonly ScriptedMessage[], invoke: Invoke): Promise<string[]> {
    const queue = keep(await startScriptedQueue(messages));
    const poller = keep(
      await startPoller({
        endpoint: queue.url,
        queueUrl: `${queue.url}/000000000000/${QUEUE}`,
        queueArn: `arn:aws:sqs:eu-central-1:000000000000:${QUEUE}`,
        invoke,
        batchSize: 10,
        maxConcurrency: 1,
        reportBatchItemFailures: true,
        log: (entry) => logs.push(entry),
      }),
    );
    await settled(1);
    await vi.waitFor(() => expect(poller.stats().inFlight).toBe(0));
    return queue.deleted;
  }

  const batch = ["a1", "b1", "a2", "a3", "b2"].map((id) => ({ id, group: id.charAt(0) }));

  test("come in their order, and all go when all succeeded", async () => {
    const seen: string[] = [];
    const deleted = await run(
      batch,
      async ({ Records }) => void seen.push(...Records.map(({ body }) => body)),
    );
    expect(seen).toEqual(["a1", "b1", "a2", "a3", "b2"]);
    expect(deleted).toEqual(["a1", "b1", "a2", "a3", "b2"]);
  });

  test("a function that reports a failure and all that follows it in the group keeps the order", async () => {
    const deleted = await run(batch, async () => failing({ messageId: "a2" }, { messageId: "a3" }));
    expect(deleted).toEqual(["a1", "b1", "b2"]);
    expect(logs.map(({ type }) => type)).toEqual(["batch"]);
  });

  test("one that reports the failure alone loses it, as on Lambda, and the log says so", async () => {
    const deleted = await run(batch, async () => failing({ messageId: "a2" }, { messageId: "b2" }));
    expect(deleted).toEqual(["a1", "b1", "a3"]);
    expect(logs).toContainEqual({ type: "order_broken", groups: ["a"] });
  });

  test("one that throws leaves all", async () => {
    expect(await run(batch, async () => Promise.reject(new Error("on purpose")))).toEqual([]);
  });
});

describe("failures of the queue", () => {
  test.each(["error", "throttle", "drop-before"] as const)(
    "%s while receiving is outlasted",
    async (kind) => {
      const queue = await open();
      queue.inject({ operation: "ReceiveMessage", kind, times: 4 });
      await queue.send("x");
      const poller = await poll(queue, async () => {});
      await vi.waitFor(
        () => expect(logs).toMatchObject([{ type: "queue_failure", operation: "receive" }]),
        10_000,
      );
      await poller.idle();
      expect(poller.stats()).toMatchObject({ invocations: 1, deleted: 1 });
    },
  );

  test("an answer with messages that is lost delays them, no more", async () => {
    const queue = await open();
    await queue.send("x");
    queue.inject({ operation: "ReceiveMessage", kind: "drop-after" });
    const counts: string[] = [];
    const poller = await poll(
      queue,
      async ({ Records }) => void counts.push(Records[0]?.attributes.ApproximateReceiveCount ?? ""),
    );
    await vi.waitFor(() => expect(queue.requests().byOperation["ReceiveMessage"]).toBe(2), 10_000);
    passVisibility();
    await poller.idle();
    expect(counts).toEqual(["2"]);
  });

  test("what could not be deleted is delivered again", async () => {
    const queue = await open();
    await queue.send("x");
    const lift = queue.inject({
      operation: "DeleteMessageBatch",
      kind: "error",
      times: Number.POSITIVE_INFINITY,
    });
    let calls = 0;
    const poller = await poll(queue, async () => {
      calls += 1;
    });
    await vi.waitFor(
      () => expect(logs).toContainEqual(expect.objectContaining({ operation: "delete" })),
      10_000,
    );
    lift();
    passVisibility();
    await poller.idle();
    expect(calls).toBe(2);
    expect(poller.stats()).toMatchObject({ invocations: 2, deleted: 1 });
  });

  test("a queue that is not there, or settings that Lambda refuses, fail the start", async () => {
    const queue = await open();
    const invoke = async () => {};
    await expect(poll(queue, invoke, { queueUrl: `${queue.url}/000000000000/none` })).rejects.toMatchObject({
      name: "QueueDoesNotExist",
    });
    await expect(poll(queue, invoke, { batchSize: 11 })).rejects.toThrow("batchSize");
    await expect(poll(queue, invoke, { maxConcurrency: 0 })).rejects.toThrow("maxConcurrency");
  });
});

describe("close", () => {
  test("lets the invocation under way finish, deletes what it did, and receives nothing more", async () => {
    const queue = await open();
    await queue.send("1");
    await queue.send("2");
    const started = Promise.withResolvers<void>();
    const gate = Promise.withResolvers<void>();
    const poller = await poll(queue, async () => {
      started.resolve();
      await gate.promise;
    });
    await started.promise;
    const closing = poller.close();
    let closed = false;
    void closing.then(() => {
      closed = true;
    });
    await sleep(50);
    expect(closed).toBe(false);
    gate.resolve();
    await closing;
    expect(queue.peek(QUEUE)).toMatchObject([{ body: "2", receiveCount: 0, inFlight: false }]);
    await expect(poller.idle()).rejects.toThrow("closed");
  });

  test("past its limit leaves the message in flight, even if the function succeeds later", async () => {
    const queue = await open();
    await queue.send("1");
    const started = Promise.withResolvers<void>();
    const gate = Promise.withResolvers<void>();
    const poller = await poll(
      queue,
      async () => {
        started.resolve();
        await gate.promise;
      },
      { drainMs: 20 },
    );
    await started.promise;
    await poller.close();
    expect(queue.peek(QUEUE)).toMatchObject([{ body: "1", inFlight: true, receiveCount: 1 }]);
    gate.resolve();
    await settled(1);
    await sleep(20);
    expect(queue.peek(QUEUE)).toMatchObject([{ body: "1", inFlight: true, receiveCount: 1 }]);
    expect(await queue.receive()).toEqual([]);
    passVisibility();
    expect(await queue.receive()).toMatchObject([{ Body: "1" }]);
  });

  test("in the middle of a long poll is quick and takes no message", async () => {
    const queue = await open();
    const poller = await poll(queue, async () => {});
    await vi.waitFor(() => expect(queue.requests().byOperation["ReceiveMessage"]).toBe(1));
    const startedAt = performance.now();
    await poller.close();
    expect(performance.now() - startedAt).toBeLessThan(5_000);
    await queue.send("x");
    expect(queue.peek(QUEUE)).toMatchObject([{ receiveCount: 0, inFlight: false }]);
  });

  test("hands over between pollers without loss, repetition or disorder", async () => {
    const queue = await open();
    const seen: (string | undefined)[] = [];
    const sent: string[] = [];
    const invoke: Invoke = async ({ Records: [record] }) => {
      await sleep(5);
      seen.push(record?.body);
    };
    for (let round = 0; round < 5; round += 1) {
      const poller = await poll(queue, invoke);
      for (let at = 0; at < 4; at += 1) {
        const body = String(round * 4 + at);
        await queue.send(body);
        sent.push(body);
      }
      await poller.close();
      // A receive whose answer crosses with the close leaves its message in flight.
      passVisibility();
    }
    const last = await poll(queue, invoke);
    await last.idle();
    expect(seen).toEqual(sent);
  });
});

describe("a function in threads", () => {
  const functionLogs: FunctionLog[] = [];

  function worker(options: Partial<FunctionOptions> = {}): Pool {
    functionLogs.length = 0;
    const taskRoot = new URL("../support/functions/", import.meta.url);
    return keep(
      createFunction({
        name: "queue-worker",
        entry: "queue-worker.ts",
        taskRoot,
        env: {},
        log: (entry) => functionLogs.push(entry),
        ...options,
      }),
    );
  }
  const output = () => functionLogs.flatMap((entry) => (entry.type === "output" ? [entry.line] : []));
  const failures = () => functionLogs.flatMap((entry) => (entry.type === "failure" ? [entry.reason] : []));

  test.each([
    ["throw", "error", "thrown on purpose"],
    ["exit", "crash", "exited with code 3"],
    ["spin", "timeout", "timed out"],
  ])(
    "that ends with %s leaves its message, and a healthy instance takes it again",
    async (body, reason, why) => {
      const pool = worker({ timeoutMs: 3_000 });
      const queue = await open();
      await queue.send(body);
      const poller = await poll(queue, (event) => callFunction(pool, event));
      await settled(1);
      expect(batches()).toMatchObject([{ result: "error", message: expect.stringContaining(why) }]);
      expect(failures()).toEqual([reason]);
      passVisibility();
      await poller.idle();
      expect(output()).toEqual([`${body} 1 queue-worker`, `${body} 2 queue-worker`]);
      expect(poller.stats()).toMatchObject({ deleted: 1 });
    },
  );

  test("can be killed in the middle", async () => {
    const pool = worker();
    const queue = await open();
    await queue.send("hang");
    await queue.send("ok", { group: "b" });
    const kill = new AbortController();
    const poller = await poll(queue, (event) =>
      callFunction(pool, event, event.Records[0]?.body === "hang" ? kill.signal : undefined),
    );
    await vi.waitFor(
      () => expect(output().toSorted()).toEqual(["hang 1 queue-worker", "ok 1 queue-worker"]),
      10_000,
    );
    await settled(1);
    kill.abort();
    await settled(2);
    expect(batches()[1]).toMatchObject({ result: "error", message: "killed" });
    const event = { Records: [] };
    await expect(callFunction(pool, event, kill.signal)).rejects.toThrow(InvocationError);
    await expect(callFunction(pool, event)).resolves.toEqual({ batchItemFailures: [] });
    expect(poller.stats().deleted).toBe(1);
  });

  test("an invocation that waits for an instance can be killed too", async () => {
    const pool = worker({ maxInstances: 1 });
    const record = (body: string) => ({
      Records: [{ body, messageId: "1", attributes: { ApproximateReceiveCount: "1" } }],
    });
    const first = new AbortController();
    const second = new AbortController();
    const running = callFunction(pool, record("hang"), first.signal);
    const waiting = callFunction(pool, record("ok"), second.signal);
    second.abort();
    await expect(waiting).rejects.toMatchObject({ kind: "crash", message: "killed" });
    await vi.waitFor(() => expect(output()).toEqual(["hang 1 queue-worker"]), 10_000);
    first.abort();
    await expect(running).rejects.toMatchObject({ kind: "crash", message: "killed" });
  });

  test("its partial failures are kept", async () => {
    const pool = worker();
    const queue = await open();
    await queue.send("fail");
    await queue.send("ok", { group: "b" });
    const poller = await poll(queue, (event) => callFunction(pool, event), { batchSize: 10 });
    await settled(1);
    await vi.waitFor(() => expect(queue.peek(QUEUE)).toMatchObject([{ body: "fail" }]));
    passVisibility();
    await poller.idle();
  });
});
