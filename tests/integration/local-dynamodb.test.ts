import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { connect as connectSocket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  DescribeTimeToLiveCommand,
  DynamoDBClient,
  type DynamoDBClientConfig,
  UpdateTimeToLiveCommand,
} from "@aws-sdk/client-dynamodb";
import {
  BatchWriteCommand,
  DynamoDBDocumentClient,
  GetCommand,
  PutCommand,
  QueryCommand,
  TransactWriteCommand,
  type TransactWriteCommandInput,
} from "@aws-sdk/lib-dynamodb";
import { tableDefinition } from "@parley/core/conversation/dynamo-table";
import { dynalite } from "@parley/local/dynamodb/dynalite";
import { ensureTable } from "@parley/local/dynamodb/ensure-table";
import { type Dynamo, startDynamo } from "@parley/local/dynamodb/server";
import { localConfig } from "@parley/local/local-config";
import { afterEach, describe, expect, test } from "vitest";

const TABLE = "parley";
const SERVER = new URL("../../packages/local/src/dynamodb/server.ts", import.meta.url).href;

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

async function start(options: { path?: string } = {}): Promise<Dynamo> {
  const dynamo = await startDynamo(options);
  cleanups.push(() => dynamo.close());
  await ensureTable(dynamo.url, tableDefinition(TABLE));
  return dynamo;
}

function connect(endpoint: string, options: DynamoDBClientConfig = {}): DynamoDBDocumentClient {
  const client = new DynamoDBClient({ ...localConfig(endpoint), maxAttempts: 1, ...options });
  cleanups.push(() => client.destroy());
  return DynamoDBDocumentClient.from(client);
}

async function folder(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), "parley-dynamodb-"));
  cleanups.push(() => rm(path, { recursive: true, force: true }));
  return path;
}

/** A process of its own that serves `path` until it is killed. */
async function startProcess(path: string): Promise<{ url: string; child: ChildProcess }> {
  const script = `import { startDynamo } from ${JSON.stringify(SERVER)};
    process.stdout.write((await startDynamo({ path: ${JSON.stringify(path)} })).url);`;
  const child = spawn(process.execPath, ["--input-type=module", "-e", script], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  cleanups.push(() => child.kill("SIGKILL"));
  const [url] = await once(child.stdout, "data");
  return { url: String(url), child };
}

const put = (sk: string, fields: Record<string, unknown> = {}) =>
  new PutCommand({ TableName: TABLE, Item: { pk: "p", sk, ...fields } });
const get = (sk: string) => new GetCommand({ TableName: TABLE, Key: { pk: "p", sk }, ConsistentRead: true });
const all = new QueryCommand({
  TableName: TABLE,
  KeyConditionExpression: "pk = :pk",
  ExpressionAttributeValues: { ":pk": "p" },
});
const transact = (sks: string[], fields: Record<string, unknown> = {}): TransactWriteCommandInput => ({
  TransactItems: sks.map((sk) => ({ Put: { TableName: TABLE, Item: { pk: "p", sk, ...fields } } })),
});

describe("the folder", () => {
  test("keeps tables, items, index and TTL setting over close and start", async () => {
    const path = await folder();
    const first = await start({ path });
    const before = connect(first.url);
    await before.send(put("A", { owner: "o", last_activity: 1 }));
    const TimeToLiveSpecification = { Enabled: true, AttributeName: "ttl" };
    await before.send(new UpdateTimeToLiveCommand({ TableName: TABLE, TimeToLiveSpecification }));
    await first.close();

    const after = connect((await start({ path })).url);
    expect((await after.send(get("A"))).Item).toMatchObject({ owner: "o" });
    const byOwner = new QueryCommand({
      TableName: TABLE,
      IndexName: "by-owner",
      KeyConditionExpression: "#owner = :owner",
      ExpressionAttributeNames: { "#owner": "owner" },
      ExpressionAttributeValues: { ":owner": "o" },
    });
    expect((await after.send(byOwner)).Count).toBe(1);
    const { TimeToLiveDescription } = await after.send(new DescribeTimeToLiveCommand({ TableName: TABLE }));
    expect(TimeToLiveDescription).toEqual({ TimeToLiveStatus: "ENABLED", AttributeName: "ttl" });
  });

  test("keeps what was answered when the process is killed under load, and no half of a transaction", async () => {
    const path = await folder();
    const { url, child } = await startProcess(path);
    await ensureTable(url, tableDefinition(TABLE));
    const db = connect(url);
    const answered: number[] = [];
    async function writer(lane: number): Promise<void> {
      for (let n = lane; ; n += 4) {
        await db.send(
          new TransactWriteCommand(transact([`A${n}`, `B${n}`], { owner: `${n}`, last_activity: n })),
        );
        answered.push(n);
      }
    }
    const lanes = [0, 1, 2, 3].map((lane) => writer(lane).catch(() => undefined));
    while (answered.length < 40) await new Promise((resolve) => setTimeout(resolve, 5));
    child.kill("SIGKILL");
    await Promise.all(lanes);

    const { Items = [] } = await connect((await start({ path })).url).send(all);
    const found = new Set(Items.map(({ sk }) => String(sk)));
    for (const n of answered) expect(found).toContain(`A${n}`);
    for (const sk of found)
      expect(found).toContain(sk.startsWith("A") ? `B${sk.slice(1)}` : `A${sk.slice(1)}`);
  });

  test("a table whose creation a kill cut short is usable after a restart", async () => {
    const path = await folder();
    await (await start({ path })).close();
    const { db: raw } = dynalite.create({ path, createTableMs: 0, deleteTableMs: 0, updateTableMs: 0 });
    const table = (await raw.get(`table~${TABLE}`)) as object;
    await raw.put(`table~${TABLE}`, { ...table, TableStatus: "CREATING" });
    await raw.close();
    await connect((await start({ path })).url).send(put("A"));
  }, 5000);

  test("that another process serves is refused with one line, and free once that process is gone", async () => {
    const path = await folder();
    const { child } = await startProcess(path);
    await expect(startDynamo({ path })).rejects.toThrow(
      new RegExp(`^another Parley is already running on ${path}[^\\n]*$`),
    );
    child.kill("SIGKILL");
    await once(child, "exit");
    await start({ path });
  });

  test("that cannot be made is refused with one line", async () => {
    await expect(startDynamo({ path: "/dev/null/parley" })).rejects.toThrow(
      /^cannot open the database in [^\n]+$/,
    );
  });
});

describe("isolation", () => {
  test("a query never sees half of a transaction, nor of a batch of writes", async () => {
    const db = connect((await start({ path: await folder() })).url);
    const sks = ["A", "B", "C", "D", "E", "F"];
    await db.send(new TransactWriteCommand(transact(sks, { n: 0 })));
    let writing = true;
    const writer = (async () => {
      for (let n = 1; n <= 100; n++) {
        const { TransactItems } = transact(sks, { n });
        const batch = TransactItems?.map(({ Put }) => ({ PutRequest: { Item: Put?.Item } })) ?? [];
        if (n % 2) await db.send(new TransactWriteCommand({ TransactItems }));
        else await db.send(new BatchWriteCommand({ RequestItems: { [TABLE]: batch } }));
      }
      writing = false;
    })();
    let reads = 0;
    const reader = async () => {
      while (writing) {
        const { Items = [] } = await db.send(all);
        expect(new Set(Items.map(({ n }) => n)).size).toBe(1);
        reads++;
      }
    };
    await Promise.all([writer, reader(), reader(), reader()]);
    expect(reads).toBeGreaterThan(10);
  });

  test("a single write does not come between a transaction's condition and its writes", async () => {
    const db = connect((await start({ path: await folder() })).url);
    const bump = (n: number) =>
      db.send(
        new PutCommand({
          TableName: TABLE,
          Item: { pk: "p", sk: "A", n: n + 1 },
          ConditionExpression: "n = :n",
          ExpressionAttributeValues: { ":n": n },
        }),
      );
    const transactBump = (n: number) =>
      db.send(
        new TransactWriteCommand({
          TransactItems: [
            {
              Update: {
                TableName: TABLE,
                Key: { pk: "p", sk: "A" },
                UpdateExpression: "SET n = :next",
                ConditionExpression: "n = :n",
                ExpressionAttributeValues: { ":n": n, ":next": n + 1 },
              },
            },
          ],
        }),
      );
    await db.send(put("A", { n: 0 }));
    for (let n = 0; n < 30; n++) {
      const rivals = [bump(n), transactBump(n), bump(n), transactBump(n)];
      const outcomes = await Promise.allSettled<unknown>(rivals);
      expect(outcomes.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
    }
  });

  test("keys with a lone surrogate are refused rather than mixed up", async () => {
    const db = connect((await start()).url);
    for (const command of [put("\ud83d"), get("\ud83d"), new TransactWriteCommand(transact(["\ud83d"]))]) {
      await expect(db.send(command as PutCommand)).rejects.toMatchObject({
        message: expect.stringMatching(/surrogate|ValidationError/),
      });
    }
  });
});

describe("faults", () => {
  const outcome = (reply: Promise<unknown>) =>
    reply.then(
      () => "done",
      (error: { name: string; code?: string }) => error.code ?? error.name,
    );

  test("each kind does what it says, once, to the operation it names", async () => {
    const dynamo = await start();
    const db = connect(dynamo.url);
    const cases = [
      { kind: "throttle", outcome: "ProvisionedThroughputExceededException", written: false },
      { kind: "error", outcome: "InternalServerError", written: false },
      { kind: "conflict", outcome: "TransactionConflictException", written: false },
      { kind: "drop-before", outcome: "ECONNRESET", written: false },
      { kind: "drop-after", outcome: "ECONNRESET", written: true },
    ] as const;
    for (const { kind, outcome: expected, written } of cases) {
      dynamo.inject({ operation: "PutItem", kind });
      expect((await db.send(get(kind))).Item).toBeUndefined();
      expect([kind, await outcome(db.send(put(kind)))]).toEqual([kind, expected]);
      expect([kind, (await db.send(get(kind))).Item !== undefined]).toEqual([kind, written]);
      expect(await outcome(db.send(put(kind)))).toBe("done");
    }
  });

  test("a conflict cancels a transaction as Amazon does", async () => {
    const dynamo = await start();
    const db = connect(dynamo.url);
    dynamo.inject({ operation: "TransactWriteItems", kind: "conflict" });
    await expect(db.send(new TransactWriteCommand(transact(["A", "B"])))).rejects.toMatchObject({
      name: "TransactionCanceledException",
      CancellationReasons: [{ Code: "TransactionConflict" }, { Code: "None" }],
    });
    expect((await db.send(all)).Count).toBe(0);
  });

  test("hang gives no reply until the client gives up, and does not hold up the others or close()", async () => {
    const dynamo = await start();
    const db = connect(dynamo.url);
    dynamo.inject({ kind: "hang", times: 2 });
    const abortSignal = AbortSignal.timeout(100);
    await expect(db.send(put("A"), { abortSignal })).rejects.toMatchObject({ name: "AbortError" });
    const second = outcome(db.send(put("B")));
    while (dynamo.requests().byOperation["PutItem"] !== 2)
      await new Promise((resolve) => setTimeout(resolve, 5));
    expect((await db.send(all)).Count).toBe(0);
    await dynamo.close();
    expect(await second).toBe("ECONNRESET");
  });

  test("after, times and lifting bound a fault", async () => {
    const dynamo = await start();
    const db = connect(dynamo.url);
    dynamo.inject({ operation: "PutItem", kind: "error", after: 1, times: 2 });
    const outcomes: string[] = [];
    for (const sk of ["A", "B", "C", "D"]) outcomes.push(await outcome(db.send(put(sk))));
    expect(outcomes).toEqual(["done", "InternalServerError", "InternalServerError", "done"]);
    const lift = dynamo.inject({ kind: "throttle", times: Number.POSITIVE_INFINITY });
    expect(await outcome(db.send(put("E")))).toBe("ProvisionedThroughputExceededException");
    expect(await outcome(db.send(get("E")))).toBe("ProvisionedThroughputExceededException");
    lift();
    expect(await outcome(db.send(put("E")))).toBe("done");
  });

  test("the SDK's own retry of a transaction whose reply was lost does not run it twice", async () => {
    const dynamo = await start();
    const db = connect(dynamo.url, { maxAttempts: 3 });
    dynamo.inject({ operation: "TransactWriteItems", kind: "drop-after" });
    await db.send(
      new TransactWriteCommand({
        TransactItems: [
          {
            Update: {
              TableName: TABLE,
              Key: { pk: "p", sk: "A" },
              UpdateExpression: "ADD n :one",
              ExpressionAttributeValues: { ":one": 1 },
            },
          },
        ],
      }),
    );
    expect(dynamo.requests().byOperation["TransactWriteItems"]).toBe(2);
    expect((await db.send(get("A"))).Item).toEqual({ pk: "p", sk: "A", n: 1 });
  });
});

describe("the server", () => {
  test("counts requests and the bytes of their bodies", async () => {
    const dynamo = await start();
    const db = connect(dynamo.url);
    const before = dynamo.requests();
    await db.send(put("A", { text: "x".repeat(1000) }));
    await db.send(get("A"));
    await db.send(get("B"));
    const after = dynamo.requests();
    expect(after.count - before.count).toBe(3);
    expect(after.byOperation).toMatchObject({ PutItem: 1, GetItem: 2 });
    expect(after.bytesIn - before.bytesIn).toBeGreaterThan(1000);
    expect(after.bytesIn - before.bytesIn).toBeLessThan(1500);
    expect(after.bytesOut - before.bytesOut).toBeGreaterThan(1000);
    expect(after.bytesOut - before.bytesOut).toBeLessThan(1500);
    expect(before.byOperation["PutItem"]).toBeUndefined();
  });

  test("answers nonsense with an error, and outlives clients that leave in mid-request", async () => {
    const dynamo = await start();
    const post = (operation: string, body: string) =>
      fetch(dynamo.url, {
        method: "POST",
        headers: { "x-amz-target": `DynamoDB_20120810.${operation}` },
        body,
      });
    const replies = [
      post("PutItem", "{"),
      post("PutItem", "[]"),
      post("PutItem", "{}"),
      post("constructor", "{}"),
      post("TransactWriteItems", '{"TransactItems":[null,7,"x"]}'),
      post("UpdateTimeToLive", "{}"),
    ];
    for (const reply of await Promise.all(replies)) {
      expect(reply.status).toBe(400);
      expect(await reply.json()).toHaveProperty("__type");
    }
    const port = Number(new URL(dynamo.url).port);
    const socket = connectSocket(port, "127.0.0.1");
    socket.write("POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\r\n{");
    await once(socket, "connect");
    await new Promise((resolve) => setTimeout(resolve, 20));
    socket.resetAndDestroy();
    await new Promise((resolve) => setTimeout(resolve, 20));
    await connect(dynamo.url).send(put("A"));
  });

  test("close() may be called twice, and gives the port back", async () => {
    const dynamo = await start();
    await Promise.all([dynamo.close(), dynamo.close()]);
    const again = await startDynamo({ port: Number(new URL(dynamo.url).port) });
    cleanups.push(() => again.close());
    await expect(startDynamo({ port: Number(new URL(again.url).port) })).rejects.toMatchObject({
      code: "EADDRINUSE",
    });
  });
});
