import { once } from "node:events";
import { request } from "node:http";
import { networkInterfaces } from "node:os";
import { fileURLToPath } from "node:url";
import type { Message } from "@aws-sdk/client-sqs";
import {
  ChangeMessageVisibilityCommand,
  CreateQueueCommand,
  GetQueueAttributesCommand,
  ReceiveMessageCommand,
  SendMessageBatchCommand,
  SendMessageCommand,
} from "@aws-sdk/client-sqs";
import type { QueueServer } from "@parley/local/queue/server";
import { startQueue } from "@parley/local/queue/server";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { runNode } from "../support/process.ts";
import type { QueueRig } from "../support/queue.ts";
import { bodies, createClient, DEAD, openQueue, QUEUE, VISIBILITY_S } from "../support/queue.ts";

const opened: Pick<QueueServer, "close">[] = [];

// The queue reads nothing but Date, so minutes pass in no time and nothing depends on how busy the machine is.
beforeEach(() => {
  vi.useFakeTimers({ toFake: ["Date"] });
});
afterEach(async () => {
  vi.useRealTimers();
  await Promise.all(opened.splice(0).map((queue) => queue.close()));
});

async function open(options: Parameters<typeof openQueue>[0] = {}): Promise<QueueRig> {
  const queue = await openQueue(options);
  opened.push(queue);
  return queue;
}

function passSeconds(seconds: number): void {
  vi.setSystemTime(Date.now() + seconds * 1000);
}

const receiveCount = (message: Message | undefined) => Number(message?.Attributes?.ApproximateReceiveCount);

function changeVisibility(queue: QueueRig, message: Message, seconds: number) {
  const { ReceiptHandle } = message;
  const QueueUrl = queue.queueUrl(QUEUE);
  return queue.client.send(
    new ChangeMessageVisibilityCommand({ QueueUrl, ReceiptHandle, VisibilityTimeout: seconds }),
  );
}

describe("order", () => {
  test("a group's messages come in the order sent, the next when the one before is deleted", async () => {
    const queue = await open();
    for (const body of ["1", "2", "3"]) await queue.send(body);
    const seen: (string | undefined)[] = [];
    for (;;) {
      const [message] = await queue.receive();
      if (message === undefined) break;
      seen.push(message.Body);
      expect(await queue.receive()).toEqual([]);
      await queue.remove(message);
    }
    expect(seen).toEqual(["1", "2", "3"]);
  });

  test("sequence numbers rise with the order sent", async () => {
    const queue = await open();
    const sent = [];
    for (const body of ["1", "2", "3"]) sent.push(await queue.send(body, { group: body }));
    const numbers = sent.map(({ SequenceNumber }) => BigInt(SequenceNumber ?? -1));
    expect(numbers.toSorted((a, b) => (a < b ? -1 : 1))).toEqual(numbers);
    expect(new Set(numbers).size).toBe(3);
  });

  test("a group in flight does not hold up the others", async () => {
    const queue = await open();
    await queue.send("a1", { group: "a" });
    await queue.send("a2", { group: "a" });
    await queue.send("b1", { group: "b" });
    await queue.send("c1", { group: "c" });
    expect(bodies(await queue.receive())).toEqual(["a1"]);
    const others = await queue.receive({ limit: 10 });
    expect(bodies(others)).toEqual(["b1", "c1"]);
    await Promise.all(others.map(queue.remove));
    expect(await queue.receive({ limit: 10 })).toEqual([]);
  });

  test("a message that comes back comes before the later ones of its group", async () => {
    const queue = await open();
    await queue.send("1");
    await queue.send("2");
    await queue.receive();
    passSeconds(VISIBILITY_S + 1);
    expect(bodies(await queue.receive({ limit: 10 }))).toEqual(["1"]);
  });
});

describe("deduplication", () => {
  test("an id is taken once in five minutes, deleted in between or not, in whatever group", async () => {
    const queue = await open();
    const first = await queue.send("one", { id: "x" });
    const [message] = await queue.receive();
    await queue.remove(message!);
    passSeconds(299);
    const again = await queue.send("another", { id: "x", group: "b" });
    expect(again.MessageId).toBe(first.MessageId);
    expect(again.SequenceNumber).toBe(first.SequenceNumber);
    expect(await queue.receive()).toEqual([]);
  });

  test("after five minutes the id is taken anew; a repetition in between does not extend them", async () => {
    const queue = await open();
    const first = await queue.send("one", { id: "x" });
    passSeconds(200);
    await queue.send("one", { id: "x" });
    passSeconds(100);
    const later = await queue.send("one", { id: "x" });
    expect(later.MessageId).not.toBe(first.MessageId);
    expect(queue.peek(QUEUE)).toHaveLength(2);
  });

  test("is not by content: it wants an id", async () => {
    const queue = await open();
    const command = new SendMessageCommand({
      QueueUrl: queue.queueUrl(QUEUE),
      MessageBody: "x",
      MessageGroupId: "a",
    });
    await expect(queue.client.send(command)).rejects.toMatchObject({ name: "InvalidParameterValue" });
  });
});

describe("visibility", () => {
  test("a message not deleted returns when its time is over, and counts its receives", async () => {
    const queue = await open();
    await queue.send("x");
    const [first] = await queue.receive();
    passSeconds(VISIBILITY_S - 1);
    expect(await queue.receive()).toEqual([]);
    passSeconds(1);
    const [second] = await queue.receive();
    expect([receiveCount(first), receiveCount(second)]).toEqual([1, 2]);
    expect(second?.MessageId).toBe(first?.MessageId);
    expect(second?.ReceiptHandle).not.toBe(first?.ReceiptHandle);
    expect(second?.Attributes?.ApproximateFirstReceiveTimestamp).toBe(
      first?.Attributes?.ApproximateFirstReceiveTimestamp,
    );
  });

  test("a deleted message does not return", async () => {
    const queue = await open();
    await queue.send("x");
    const [message] = await queue.receive();
    await queue.remove(message!);
    passSeconds(VISIBILITY_S + 1);
    expect(await queue.receive()).toEqual([]);
    expect(queue.peek(QUEUE)).toEqual([]);
  });

  test("a receipt whose time is over deletes nothing, even before somebody else receives", async () => {
    const queue = await open();
    await queue.send("x");
    const [message] = await queue.receive();
    passSeconds(VISIBILITY_S + 1);
    await queue.remove(message!);
    expect(bodies(await queue.receive())).toEqual(["x"]);
  });

  test("ChangeMessageVisibility prolongs from now, and 0 gives the message back at once", async () => {
    const queue = await open();
    await queue.send("x");
    const [message] = await queue.receive();
    passSeconds(20);
    await changeVisibility(queue, message!, 60);
    passSeconds(59);
    expect(await queue.receive()).toEqual([]);
    await changeVisibility(queue, message!, 0);
    const [again] = await queue.receive();
    expect(receiveCount(again)).toBe(2);
    await expect(changeVisibility(queue, message!, 10)).rejects.toMatchObject({ name: "MessageNotInflight" });
  });

  test("its timeouts are whole seconds", async () => {
    const queue = await open();
    await queue.send("x");
    await expect(queue.receive({ visibilityS: 0.5 })).rejects.toMatchObject({
      name: "InvalidParameterValue",
    });
    const [message] = await queue.receive();
    await expect(changeVisibility(queue, message!, 1.5)).rejects.toMatchObject({
      name: "InvalidParameterValue",
    });
  });
});

describe("redrive", () => {
  test("after maxReceiveCount receives a message moves, whole, and its group goes on", async () => {
    const queue = await open({ maxReceiveCount: 2 });
    const attributes = {
      kind: { DataType: "String", StringValue: "update" },
      raw: { DataType: "Binary", BinaryValue: Uint8Array.of(0, 255) },
    };
    const sent = await queue.send("poison", { group: "g", id: "d", attributes });
    await queue.send("next", { group: "g" });
    for (const count of [1, 2]) {
      const [message] = await queue.receive();
      expect([message?.Body, receiveCount(message)]).toEqual(["poison", count]);
      passSeconds(VISIBILITY_S);
    }
    expect(bodies(await queue.receive())).toEqual(["next"]);
    const [dead, ...more] = await queue.receive({ queue: DEAD, limit: 10 });
    expect(more).toEqual([]);
    expect(dead).toMatchObject({
      MessageId: sent.MessageId,
      Body: "poison",
      Attributes: { MessageGroupId: "g", MessageDeduplicationId: "d", SequenceNumber: sent.SequenceNumber },
      MessageAttributes: attributes,
    });
  });

  test("messages given up by one group arrive in its order, and other groups never wait", async () => {
    const queue = await open({ maxReceiveCount: 1 });
    for (const body of ["1", "2", "3"]) await queue.send(body);
    for (const body of ["1", "2", "3"]) {
      await queue.send(`other-${body}`, { group: "other" });
      const received = await queue.receive({ limit: 10 });
      expect(bodies(received).toSorted()).toEqual([body, `other-${body}`]);
      await queue.remove(received.find(({ Body }) => Body?.startsWith("other"))!);
      passSeconds(VISIBILITY_S);
    }
    expect(await queue.receive({ limit: 10 })).toEqual([]);
    expect(queue.peek(DEAD).map(({ body }) => body)).toEqual(["1", "2", "3"]);
  });
});

describe("what a message may be", () => {
  const LIMIT = 1024 * 1024;

  test("1 MiB with its attributes, and not a byte more", async () => {
    const queue = await open();
    const attributes = { note: { DataType: "String", StringValue: "1234" } };
    const room = LIMIT - "noteString1234".length;
    await queue.send("é".repeat(room / 2), { id: "whole", attributes });
    await expect(queue.send(`${"é".repeat(room / 2)}x`, { id: "over", attributes })).rejects.toMatchObject({
      name: "InvalidParameterValue",
    });
    const [message] = await queue.receive();
    expect(Buffer.byteLength(message?.Body ?? "")).toBe(room);
  });

  test("a batch has the same 1 MiB in all", async () => {
    const queue = await open();
    const Entries = ["1", "2"].map((Id) => ({
      Id,
      MessageBody: "x".repeat(LIMIT / 2 + 1),
      MessageGroupId: "a",
      MessageDeduplicationId: Id,
    }));
    const command = new SendMessageBatchCommand({ QueueUrl: queue.queueUrl(QUEUE), Entries });
    await expect(queue.client.send(command)).rejects.toMatchObject({ name: "BatchRequestTooLong" });
  });

  test("emoji and every other character of XML come back as they were", async () => {
    const queue = await open();
    const body = `${"🌦️👨‍👩‍👧‍👦".repeat(3)}\t\n\r \u200f\ud7ff\ue000\ufffd\u{10000}\u{10ffff}`;
    await queue.send(body, { id: "emoji" });
    expect(bodies(await queue.receive())).toEqual([body]);
  });

  test.each(["\u0000", "\u001b[31m", "\ufffe", "\ud83c lone"])("%j is refused", async (body) => {
    const queue = await open();
    await expect(queue.send(body, { id: "bad" })).rejects.toMatchObject({ name: "InvalidMessageContents" });
    expect(queue.peek(QUEUE)).toEqual([]);
  });

  test("the sender's trace header comes with each receive that asks for it, and no other system attribute", async () => {
    const queue = await open();
    const QueueUrl = queue.queueUrl(QUEUE);
    const header = "Root=1-67891233-abcdef012345678912345678;Parent=463ac35c9f6413ad;Sampled=1";
    const send = (name: string, id: string) =>
      queue.client.send(
        new SendMessageCommand({
          QueueUrl,
          MessageBody: id,
          MessageGroupId: id,
          MessageDeduplicationId: id,
          MessageSystemAttributes: { [name]: { DataType: "String", StringValue: header } },
        }),
      );
    await send("AWSTraceHeader", "traced");
    const [first] = await queue.receive({ visibilityS: 0 });
    expect(first?.Attributes?.AWSTraceHeader).toBe(header);
    const [again] = await queue.receive();
    expect(again?.Attributes).toMatchObject({ AWSTraceHeader: header, ApproximateReceiveCount: "2" });
    await queue.send("plain");
    const [plain] = await queue.receive();
    expect(plain?.Attributes).not.toHaveProperty("AWSTraceHeader");
    await expect(send("SenderId", "other")).rejects.toMatchObject({ name: "InvalidParameterValue" });
  });

  test("group and deduplication ids are up to 128 printable characters", async () => {
    const queue = await open();
    await queue.send("fits", {
      group: "weather:-100123:5".padEnd(128, "x"),
      id: "weather:1".padEnd(128, "x"),
    });
    for (const bad of ["x".repeat(129), "with space", "é"]) {
      await expect(queue.send("x", { group: bad })).rejects.toMatchObject({ name: "InvalidParameterValue" });
      await expect(queue.send("x", { id: bad })).rejects.toMatchObject({ name: "InvalidParameterValue" });
    }
    expect(queue.peek(QUEUE).map(({ body }) => body)).toEqual(["fits"]);
  });

  test("a group is wanted, and a body", async () => {
    const queue = await open();
    const QueueUrl = queue.queueUrl(QUEUE);
    const noGroup = new SendMessageCommand({ QueueUrl, MessageBody: "x", MessageDeduplicationId: "x" });
    await expect(queue.client.send(noGroup)).rejects.toMatchObject({ name: "MissingParameter" });
    await expect(queue.send("", { id: "x" })).rejects.toMatchObject({ name: "MissingParameter" });
  });
});

describe("long polling", () => {
  test("a message sent meanwhile is delivered at once", async () => {
    const queue = await open();
    const startedAt = performance.now();
    const waiting = queue.receive({ waitS: 20 });
    await vi.waitFor(() => expect(queue.requests().byOperation["ReceiveMessage"]).toBe(1));
    await queue.send("x");
    expect(bodies(await waiting)).toEqual(["x"]);
    expect(performance.now() - startedAt).toBeLessThan(5_000);
  });

  test("a message that comes back meanwhile is delivered", async () => {
    const queue = await open();
    await queue.send("x");
    await queue.receive();
    const waiting = queue.receive({ waitS: 20 });
    await vi.waitFor(() => expect(queue.requests().byOperation["ReceiveMessage"]).toBe(2));
    passSeconds(VISIBILITY_S);
    expect(bodies(await waiting)).toEqual(["x"]);
  });

  test("without messages it answers with none when the wait is over", async () => {
    const queue = await open();
    const startedAt = performance.now();
    expect(await queue.receive({ waitS: 1 })).toEqual([]);
    expect(performance.now() - startedAt).toBeGreaterThan(950);
  });

  test("a client that has hung up takes nothing", async () => {
    const queue = await open();
    const hangUp = new AbortController();
    const command = new ReceiveMessageCommand({ QueueUrl: queue.queueUrl(QUEUE), WaitTimeSeconds: 20 });
    const waiting = queue.client.send(command, { abortSignal: hangUp.signal });
    waiting.catch(() => {});
    await vi.waitFor(() => expect(queue.requests().byOperation["ReceiveMessage"]).toBe(1));
    hangUp.abort();
    await expect(waiting).rejects.toMatchObject({ name: "AbortError" });
    await queue.send("x");
    const [message] = await queue.receive();
    expect([message?.Body, receiveCount(message)]).toEqual(["x", 1]);
  });

  test("of several that wait one gets the message, and the others go on waiting", async () => {
    const queue = await open();
    const waiting = [1, 2, 3].map(() => queue.receive({ waitS: 2 }));
    await vi.waitFor(() => expect(queue.requests().byOperation["ReceiveMessage"]).toBe(3));
    await queue.send("x", { group: "x" });
    await Promise.race(waiting);
    await queue.send("y", { group: "y" });
    const received = (await Promise.all(waiting)).flat();
    expect(bodies(received).toSorted()).toEqual(["x", "y"]);
  });
});

describe("faults", () => {
  test.each(["error", "throttle", "drop-before", "drop-after"] as const)(
    "%s: the client tries again, and the message is there once",
    async (kind) => {
      const queue = await open();
      queue.inject({ operation: "SendMessage", kind });
      await queue.send("x");
      expect(queue.requests().byOperation["SendMessage"]).toBe(2);
      expect(queue.peek(QUEUE).map(({ body }) => body)).toEqual(["x"]);
    },
  );

  test("for good: the sender learns of it, and nothing is there", async () => {
    const queue = await open();
    const lift = queue.inject({ operation: "SendMessage", kind: "error", times: Number.POSITIVE_INFINITY });
    await expect(queue.send("x")).rejects.toMatchObject({ $metadata: { httpStatusCode: 500 } });
    lift();
    expect(queue.peek(QUEUE)).toEqual([]);
    await queue.send("x");
  });

  test("an answer to ReceiveMessage that is lost leaves its message in flight", async () => {
    const queue = await open();
    await queue.send("x");
    queue.inject({ operation: "ReceiveMessage", kind: "drop-after" });
    expect(await queue.receive()).toEqual([]);
    expect(queue.peek(QUEUE)).toMatchObject([{ body: "x", inFlight: true, receiveCount: 1 }]);
    passSeconds(VISIBILITY_S);
    expect(receiveCount((await queue.receive())[0])).toBe(2);
  });
});

describe("the server", () => {
  test("time can be compressed: visibility, its changes and deduplication", async () => {
    vi.useRealTimers();
    const queue = await open({ timeScale: 1000 });
    await queue.send("x");
    const [message] = await queue.receive({ visibilityS: 43_200 });
    const startedAt = performance.now();
    await changeVisibility(queue, message!, 600);
    expect(receiveCount((await queue.receive({ waitS: 20 }))[0])).toBe(2);
    const tookMs = performance.now() - startedAt;
    expect(tookMs).toBeGreaterThan(550);
    expect(tookMs).toBeLessThan(15_000);
    expect((await queue.send("x")).MessageId).not.toBe(message?.MessageId);
  });

  test("listens on 127.0.0.1 alone", async () => {
    const queue = await open();
    const outside = Object.values(networkInterfaces())
      .flat()
      .find((address) => address?.family === "IPv4" && !address.internal);
    if (outside === undefined) {
      process.stdout.write("skipped: this machine has no address but 127.0.0.1\n");
      return;
    }
    const attempt = request({ host: outside.address, port: new URL(queue.url).port, path: "/" });
    attempt.end();
    const [error] = await once(attempt, "error");
    expect(error).toMatchObject({ code: "ECONNREFUSED" });
  });

  test("counts requests, and shows what it holds without touching it", async () => {
    const queue = await open();
    await queue.send("1", { id: "i1" });
    await queue.send("2", { group: "b" });
    await queue.receive();
    expect(queue.requests()).toMatchObject({ count: 3, byOperation: { SendMessage: 2, ReceiveMessage: 1 } });
    const expected = [
      { body: "1", groupId: "a", deduplicationId: "i1", receiveCount: 1, inFlight: true },
      { body: "2", groupId: "b", deduplicationId: "2", receiveCount: 0, inFlight: false },
    ];
    expect(queue.peek(QUEUE)).toMatchObject(expected);
    expect(queue.peek(QUEUE)).toMatchObject(expected);
    expect(() => queue.peek("none")).toThrow("there is no queue none");
  });

  test("a standard queue has no groups and keeps no lock", async () => {
    const name = "plain";
    const queue = await open({ queues: [{ name, fifo: false, visibilityTimeoutS: 1 }] });
    for (const body of ["1", "2"]) {
      await queue.client.send(new SendMessageCommand({ QueueUrl: queue.queueUrl(name), MessageBody: body }));
    }
    expect(bodies(await queue.receive({ queue: name, limit: 10 })).toSorted()).toEqual(["1", "2"]);
  });

  test("refuses what it does not know", async () => {
    const queue = await open();
    const { client } = queue;
    const unknown = new GetQueueAttributesCommand({ QueueUrl: `${queue.url}/000000000000/none` });
    await expect(client.send(unknown)).rejects.toMatchObject({ name: "QueueDoesNotExist" });
    await expect(client.send(new CreateQueueCommand({ QueueName: "new" }))).rejects.toMatchObject({
      name: "InvalidAction",
    });
    const headers = { "x-amz-target": "AmazonSQS.SendMessage" };
    for (const body of ["", "[]", "{", "null"]) {
      const response = await fetch(queue.url, { method: "POST", headers, body });
      expect(response.status).toBe(400);
    }
  });

  test("does not start with queues that Amazon would refuse, or on a port that is taken", async () => {
    const plain = { name: "plain", fifo: false, visibilityTimeoutS: 1 };
    await expect(startQueue({ queues: [{ ...plain, fifo: true }] })).rejects.toThrow('end in ".fifo"');
    const dlq = { name: "plain", maxReceiveCount: 3 };
    const mixed = [plain, { name: "a.fifo", fifo: true, visibilityTimeoutS: 1, dlq }];
    await expect(startQueue({ queues: mixed })).rejects.toThrow("must be of its source queue's kind");
    const queue = await open();
    const port = Number(new URL(queue.url).port);
    await expect(startQueue({ queues: [], port })).rejects.toMatchObject({ code: "EADDRINUSE" });
  });

  test("close leaves nothing behind that keeps a process alive", async () => {
    const program = `
      import { startQueue } from "@parley/local/queue/server";
      import { startPoller } from "@parley/local/queue/poller";
      const name = "a.fifo";
      const queue = await startQueue({ queues: [{ name, fifo: true, visibilityTimeoutS: 30 }] });
      const [endpoint, queueUrl, queueArn] = [queue.url, queue.queueUrl(name), queue.queueArn(name)];
      const options = { invoke() {}, batchSize: 1, maxConcurrency: 1, reportBatchItemFailures: true };
      const poller = await startPoller({ endpoint, queueUrl, queueArn, ...options });
      while (!queue.requests().byOperation.ReceiveMessage) await new Promise((tick) => setTimeout(tick, 5));
      await poller.close();
      await queue.close();
      const closedAt = performance.now();
      process.on("exit", () => process.stdout.write(String(performance.now() - closedAt)));
    `;
    const cwd = fileURLToPath(new URL("../..", import.meta.url));
    const { code, stdout, stderr } = await runNode(["--input-type=module", "-e", program], { cwd });
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(Number(stdout)).toBeLessThan(5_000);
  });

  test("close ends long polls, and a second close is the first", async () => {
    const queue = await open();
    const client = createClient(queue.url);
    const waiting = client.send(
      new ReceiveMessageCommand({ QueueUrl: queue.queueUrl(QUEUE), WaitTimeSeconds: 20 }),
    );
    const ended = waiting.then(
      () => "answered",
      () => "ended",
    );
    await vi.waitFor(() => expect(queue.requests().byOperation["ReceiveMessage"]).toBe(1));
    await Promise.all([queue.close(), queue.close()]);
    expect(await ended).toBe("ended");
    client.destroy();
  });
});
