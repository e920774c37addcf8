import { randomUUID } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DynamoDBClient } from "@aws-sdk/client-dynamodb";
import {
  DeleteCommand,
  DynamoDBDocumentClient,
  GetCommand,
  PutCommand,
  QueryCommand,
  TransactGetCommand,
  TransactWriteCommand,
  type TransactWriteCommandInput,
  UpdateCommand,
} from "@aws-sdk/lib-dynamodb";
import { tableDefinition } from "@parley/core/conversation/dynamo-table";
import { ensureTable } from "@parley/local/dynamodb/ensure-table";
import { startDynamo } from "@parley/local/dynamodb/server";
import { localConfig } from "@parley/local/local-config";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { dynamoLocalProblem, startDynamoLocal } from "../support/dynamodb-local.ts";
import { fc } from "../support/property.ts";

/*
 * What a conversation store asks of DynamoDB, asked of the local stand-in, in memory and on disk, and of Amazon's
 * own DynamoDB Local. Left open here is what the two word differently, and who wins when rivals meet: Amazon's may
 * cancel one with TransactionConflict, the stand-in never does.
 */

const TABLE = "parley";

interface Engine {
  name: string;
  start(): Promise<{ url: string; close(): Promise<void> }>;
}

const engines: Engine[] = [
  { name: "the stand-in in memory", start: () => startDynamo() },
  { name: "the stand-in on disk", start: startOnDisk },
];

const problem = dynamoLocalProblem();
if (problem) process.stdout.write(`not run on Amazon's DynamoDB Local: ${problem}\n`);
else engines.push({ name: "Amazon's DynamoDB Local", start: startDynamoLocal });

async function startOnDisk() {
  const path = await mkdtemp(join(tmpdir(), "parley-dynamodb-"));
  const dynamo = await startDynamo({ path });
  return {
    url: dynamo.url,
    async close() {
      await dynamo.close();
      await rm(path, { recursive: true });
    },
  };
}

function connect(endpoint: string): DynamoDBDocumentClient {
  return DynamoDBDocumentClient.from(new DynamoDBClient(localConfig(endpoint)), {
    marshallOptions: { removeUndefinedValues: true },
  });
}

interface Cancelled {
  CancellationReasons: { Code: string; Message?: string; Item?: Record<string, unknown> }[];
}

type Actions = NonNullable<TransactWriteCommandInput["TransactItems"]>;

describe.each(engines)("$name", ({ start }) => {
  let server: Awaited<ReturnType<Engine["start"]>>;
  let db: DynamoDBDocumentClient;
  /** A partition of its own for each test. */
  const partition = () => `CONV#${randomUUID()}`;

  beforeAll(async () => {
    server = await start();
    await ensureTable(server.url, tableDefinition(TABLE));
    db = connect(server.url);
  });

  afterAll(async () => {
    db?.destroy();
    await server?.close();
  });

  const put = (Item: Record<string, unknown>) => db.send(new PutCommand({ TableName: TABLE, Item }));
  const get = async (pk: string, sk: string) =>
    (await db.send(new GetCommand({ TableName: TABLE, Key: { pk, sk }, ConsistentRead: true }))).Item;
  const transact = (TransactItems: Actions, ClientRequestToken?: string) =>
    db.send(new TransactWriteCommand({ TransactItems, ClientRequestToken }));
  const cancellation = async (actions: Actions): Promise<Cancelled> => {
    const error: unknown = await transact(actions).catch((cause) => cause);
    expect(error).toMatchObject({ name: "TransactionCanceledException" });
    return error as Cancelled;
  };

  test("ensureTable leaves an existing table as it is", async () => {
    const pk = partition();
    await put({ pk, sk: "HEAD" });
    await ensureTable(server.url, tableDefinition(TABLE));
    await ensureTable(db as unknown as DynamoDBClient, tableDefinition(TABLE));
    expect(await get(pk, "HEAD")).toEqual({ pk, sk: "HEAD" });
  });

  test("ensureTable from several at once makes one table, and refuses another shape under its name", async () => {
    const definition = tableDefinition("table-of-many");
    await Promise.all(Array.from({ length: 5 }, () => ensureTable(server.url, definition)));
    const { GlobalSecondaryIndexes: _, ...rest } = definition;
    const AttributeDefinitions = definition.AttributeDefinitions?.slice(0, 2);
    await expect(ensureTable(server.url, { ...rest, AttributeDefinitions })).rejects.toThrow(
      "table-of-many was made by another version",
    );
  });

  describe("conditions", () => {
    test("a put on condition of absence succeeds once, and the loser sees the winner's item", async () => {
      const pk = partition();
      const claim = (by: string) =>
        db.send(
          new PutCommand({
            TableName: TABLE,
            Item: { pk, sk: "KEY", by },
            ConditionExpression: "attribute_not_exists(pk)",
            ReturnValuesOnConditionCheckFailure: "ALL_OLD",
          }),
        );
      await claim("first");
      await expect(claim("second")).rejects.toMatchObject({
        name: "ConditionalCheckFailedException",
        Item: { pk: { S: pk }, sk: { S: "KEY" }, by: { S: "first" } },
      });
      expect(await get(pk, "KEY")).toMatchObject({ by: "first" });
    });

    test("of 20 conditional puts at once exactly one wins", async () => {
      const pk = partition();
      const claims = Array.from({ length: 20 }, (_, by) =>
        db.send(
          new PutCommand({
            TableName: TABLE,
            Item: { pk, sk: "KEY", by },
            ConditionExpression: "attribute_not_exists(pk)",
          }),
        ),
      );
      const outcomes = await Promise.allSettled(claims);
      const winners = outcomes.flatMap(({ status }, by) => (status === "fulfilled" ? [by] : []));
      expect(winners).toHaveLength(1);
      expect(await get(pk, "KEY")).toMatchObject({ by: winners[0] });
    });

    test("a failed condition returns no item unless asked for, nor when there is none", async () => {
      const pk = partition();
      await put({ pk, sk: "HEAD", turns: 1 });
      const update = (sk: string, ReturnValuesOnConditionCheckFailure?: "ALL_OLD") =>
        db.send(
          new UpdateCommand({
            TableName: TABLE,
            Key: { pk, sk },
            UpdateExpression: "SET turns = :two",
            ConditionExpression: "turns = :nine",
            ExpressionAttributeValues: { ":two": 2, ":nine": 9 },
            ReturnValuesOnConditionCheckFailure,
          }),
        );
      const silent: unknown = await update("HEAD").catch((error) => error);
      expect(silent).toMatchObject({ name: "ConditionalCheckFailedException" });
      expect((silent as { Item?: unknown }).Item).toBeUndefined();
      const absent: unknown = await update("NONE", "ALL_OLD").catch((error) => error);
      expect(absent).toMatchObject({ name: "ConditionalCheckFailedException" });
      expect((absent as { Item?: unknown }).Item).toBeUndefined();
      await expect(update("HEAD", "ALL_OLD")).rejects.toMatchObject({ Item: { turns: { N: "1" } } });
      expect(await get(pk, "NONE")).toBeUndefined();
    });

    test("an update computes from what is there, and returns what it was asked for", async () => {
      const pk = partition();
      const bump = () =>
        db.send(
          new UpdateCommand({
            TableName: TABLE,
            Key: { pk, sk: "HEAD" },
            UpdateExpression:
              "SET turns = if_not_exists(turns, :zero) + :one, usage_log = list_append(if_not_exists(usage_log, :none), :entry) REMOVE lease",
            ExpressionAttributeValues: { ":zero": 0, ":one": 1, ":none": [], ":entry": [{ tokens: 3 }] },
            ReturnValues: "ALL_NEW",
          }),
        );
      await put({ pk, sk: "HEAD", lease: "somebody" });
      await bump();
      expect((await bump()).Attributes).toEqual({
        pk,
        sk: "HEAD",
        turns: 2,
        usage_log: [{ tokens: 3 }, { tokens: 3 }],
      });
    });

    test("a lease is taken by comparison of numbers, and a conditional delete gives it back once", async () => {
      const pk = partition();
      await put({ pk, sk: "TURN", lease_until: 1000, holder: "a" });
      const take = (now: number, holder: string) =>
        db.send(
          new UpdateCommand({
            TableName: TABLE,
            Key: { pk, sk: "TURN" },
            UpdateExpression: "SET lease_until = :until, holder = :holder",
            ConditionExpression: "attribute_not_exists(lease_until) OR lease_until < :now",
            ExpressionAttributeValues: { ":until": now + 1000, ":holder": holder, ":now": now },
          }),
        );
      await expect(take(999, "b")).rejects.toMatchObject({ name: "ConditionalCheckFailedException" });
      await take(1001, "b");
      const release = (holder: string) =>
        db.send(
          new DeleteCommand({
            TableName: TABLE,
            Key: { pk, sk: "TURN" },
            ConditionExpression: "holder = :holder",
            ExpressionAttributeValues: { ":holder": holder },
            ReturnValuesOnConditionCheckFailure: "ALL_OLD",
          }),
        );
      await expect(release("a")).rejects.toMatchObject({ Item: { holder: { S: "b" } } });
      await release("b");
      await expect(release("b")).rejects.toMatchObject({ name: "ConditionalCheckFailedException" });
    });
  });

  describe("transactions", () => {
    test("all four kinds of action happen together", async () => {
      const pk = partition();
      await put({ pk, sk: "HEAD", turns: 1 });
      await put({ pk, sk: "OLD" });
      await put({ pk, sk: "CHECKED" });
      await transact([
        {
          ConditionCheck: {
            TableName: TABLE,
            Key: { pk, sk: "CHECKED" },
            ConditionExpression: "attribute_exists(pk)",
          },
        },
        {
          Update: {
            TableName: TABLE,
            Key: { pk, sk: "HEAD" },
            UpdateExpression: "SET turns = turns + :one",
            ExpressionAttributeValues: { ":one": 1 },
          },
        },
        { Put: { TableName: TABLE, Item: { pk, sk: "TURN#2" } } },
        { Delete: { TableName: TABLE, Key: { pk, sk: "OLD" } } },
      ]);
      const { Items } = await db.send(
        new QueryCommand({
          TableName: TABLE,
          KeyConditionExpression: "pk = :pk",
          ExpressionAttributeValues: { ":pk": pk },
          ConsistentRead: true,
        }),
      );
      expect(Items).toEqual([
        { pk, sk: "CHECKED" },
        { pk, sk: "HEAD", turns: 2 },
        { pk, sk: "TURN#2" },
      ]);
    });

    test("one failed condition undoes all, with the reasons in order and the items asked for", async () => {
      const pk = partition();
      await put({ pk, sk: "HEAD", turns: 7 });
      const { CancellationReasons } = await cancellation([
        { Put: { TableName: TABLE, Item: { pk, sk: "TURN#2" } } },
        {
          Update: {
            TableName: TABLE,
            Key: { pk, sk: "HEAD" },
            UpdateExpression: "SET turns = :two",
            ConditionExpression: "turns = :one",
            ExpressionAttributeValues: { ":one": 1, ":two": 2 },
            ReturnValuesOnConditionCheckFailure: "ALL_OLD",
          },
        },
        {
          ConditionCheck: {
            TableName: TABLE,
            Key: { pk, sk: "NONE" },
            ConditionExpression: "attribute_exists(pk)",
            ReturnValuesOnConditionCheckFailure: "ALL_OLD",
          },
        },
        { Delete: { TableName: TABLE, Key: { pk, sk: "OTHER" } } },
      ]);
      expect(CancellationReasons.map(({ Code }) => Code)).toEqual([
        "None",
        "ConditionalCheckFailed",
        "ConditionalCheckFailed",
        "None",
      ]);
      expect(CancellationReasons.map(({ Item }) => Item)).toEqual([
        undefined,
        { pk: { S: pk }, sk: { S: "HEAD" }, turns: { N: "7" } },
        undefined,
        undefined,
      ]);
      expect(await get(pk, "TURN#2")).toBeUndefined();
      expect(await get(pk, "HEAD")).toMatchObject({ turns: 7 });
    });

    test("a token makes a repeated transaction count once, and refuses another one", async () => {
      const pk = partition();
      const token = randomUUID();
      const add = (amount: number) =>
        transact(
          [
            {
              Update: {
                TableName: TABLE,
                Key: { pk, sk: "HEAD" },
                UpdateExpression: "ADD turns :amount",
                ExpressionAttributeValues: { ":amount": amount },
              },
            },
          ],
          token,
        );
      await add(1);
      await add(1);
      expect(await get(pk, "HEAD")).toMatchObject({ turns: 1 });
      await expect(add(2)).rejects.toMatchObject({ name: "IdempotentParameterMismatchException" });
      expect(await get(pk, "HEAD")).toMatchObject({ turns: 1 });
    });

    test("a token whose transaction was cancelled is free for the next try", async () => {
      const pk = partition();
      const token = randomUUID();
      const turn: Actions = [
        { Put: { TableName: TABLE, Item: { pk, sk: "TURN#1" } } },
        {
          ConditionCheck: {
            TableName: TABLE,
            Key: { pk, sk: "HEAD" },
            ConditionExpression: "attribute_exists(pk)",
          },
        },
      ];
      await expect(transact(turn, token)).rejects.toMatchObject({ name: "TransactionCanceledException" });
      await put({ pk, sk: "HEAD" });
      await transact(turn, token);
      expect(await get(pk, "TURN#1")).toBeDefined();
    });

    test("50 rivals over one counter leave a gapless 50", { timeout: 60_000 }, async () => {
      const pk = partition();
      await put({ pk, sk: "HEAD", turns: 0 });

      async function append(writer: number): Promise<void> {
        let turns = 0;
        for (;;) {
          const sk = `TURN#${String(turns + 1).padStart(10, "0")}`;
          const actions: Actions = [
            {
              Update: {
                TableName: TABLE,
                Key: { pk, sk: "HEAD" },
                UpdateExpression: "SET turns = :next",
                ConditionExpression: "turns = :turns",
                ExpressionAttributeValues: { ":turns": turns, ":next": turns + 1 },
                ReturnValuesOnConditionCheckFailure: "ALL_OLD",
              },
            },
            {
              Put: {
                TableName: TABLE,
                Item: { pk, sk, writer },
                ConditionExpression: "attribute_not_exists(pk)",
              },
            },
          ];
          const failure: unknown = await transact(actions).then(
            () => undefined,
            (error) => error,
          );
          if (failure === undefined) return;
          expect(failure).toMatchObject({ name: "TransactionCanceledException" });
          const head = (failure as Cancelled).CancellationReasons[0]?.Item as
            | { turns: { N: string } }
            | undefined;
          turns = head ? Number(head.turns.N) : turns;
        }
      }
      await Promise.all(Array.from({ length: 50 }, (_, writer) => append(writer)));

      const { Items = [] } = await db.send(
        new QueryCommand({
          TableName: TABLE,
          KeyConditionExpression: "pk = :pk AND begins_with(sk, :turn)",
          ExpressionAttributeValues: { ":pk": pk, ":turn": "TURN#" },
          ConsistentRead: true,
        }),
      );
      expect(Items.map(({ sk }) => Number(String(sk).slice(5)))).toEqual(
        Array.from({ length: 50 }, (_, n) => n + 1),
      );
      expect(new Set(Items.map(({ writer }) => writer)).size).toBe(50);
      expect(await get(pk, "HEAD")).toMatchObject({ turns: 50 });
    });

    test("TransactGetItems never sees half of a transaction", async () => {
      const pk = partition();
      const both = (n: number) =>
        transact(["A", "B"].map((sk) => ({ Put: { TableName: TABLE, Item: { pk, sk, n } } })));
      await both(0);
      let writing = true;
      const writer = (async () => {
        for (let n = 1; n <= 40; n++) await both(n).catch(ignoreConflict);
        writing = false;
      })();
      let reads = 0;
      while (writing) {
        const reply = await db
          .send(
            new TransactGetCommand({
              TransactItems: ["A", "B"].map((sk) => ({ Get: { TableName: TABLE, Key: { pk, sk } } })),
            }),
          )
          .catch(ignoreConflict);
        if (!reply) continue;
        const [a, b] = reply.Responses ?? [];
        expect(a?.Item?.["n"]).toBe(b?.Item?.["n"]);
        reads++;
      }
      await writer;
      expect(reads).toBeGreaterThan(0);
    });

    test("TransactGetItems answers in order, with an empty place for what is not there", async () => {
      const pk = partition();
      await put({ pk, sk: "A", n: 1, m: 2 });
      const { Responses } = await db.send(
        new TransactGetCommand({
          TransactItems: [
            { Get: { TableName: TABLE, Key: { pk, sk: "NONE" } } },
            { Get: { TableName: TABLE, Key: { pk, sk: "A" }, ProjectionExpression: "m" } },
          ],
        }),
      );
      expect(Responses?.map(({ Item }) => Item)).toEqual([undefined, { m: 2 }]);
    });

    const action = (pk: string, sk = "A"): Actions[number] => ({
      Put: { TableName: TABLE, Item: { pk, sk } },
    });
    const malformed: [string, (pk: string) => Actions][] = [
      ["nothing", () => []],
      ["101 actions", (pk) => Array.from({ length: 101 }, (_, n) => action(pk, `${n}`))],
      [
        "two actions on one item",
        (pk) => [action(pk), { Delete: { TableName: TABLE, Key: { pk, sk: "A" } } }],
      ],
      [
        "a member with two actions",
        (pk) => [{ ...action(pk), Delete: { TableName: TABLE, Key: { pk, sk: "B" } } }],
      ],
      ["a member with none", () => [{}]],
      [
        "a check without a condition",
        (pk) => [
          action(pk),
          { ConditionCheck: { TableName: TABLE, Key: { pk, sk: "B" }, ConditionExpression: undefined } },
        ],
      ],
      [
        "an undefined placeholder",
        (pk) => [
          action(pk),
          { Delete: { TableName: TABLE, Key: { pk, sk: "B" }, ConditionExpression: "turns = :turns" } },
        ],
      ],
      [
        "an unused placeholder",
        (pk) => [
          action(pk),
          {
            Delete: {
              TableName: TABLE,
              Key: { pk, sk: "B" },
              ConditionExpression: "attribute_exists(pk)",
              ExpressionAttributeValues: { ":turns": 1 },
            },
          },
        ],
      ],
      ["more than 4 MB", (pk) => Array.from({ length: 11 }, (_, n) => big(pk, `${n}`))],
    ];
    const big = (pk: string, sk: string) => ({
      Put: { TableName: TABLE, Item: { pk, sk, text: "x".repeat(400_000) } },
    });

    test.each(malformed)("refuses %s and writes nothing", async (_name, actions) => {
      const pk = partition();
      await expect(transact(actions(pk))).rejects.toMatchObject({ name: "ValidationException" });
      expect(await get(pk, "A")).toBeUndefined();
    });

    test("takes 100 actions", async () => {
      const pk = partition();
      await transact(Array.from({ length: 100 }, (_, n) => action(pk, `${n}`)));
      expect(await get(pk, "99")).toBeDefined();
    });

    test("refuses a table that does not exist", async () => {
      const pk = partition();
      const elsewhere = { Put: { TableName: "nowhere", Item: { pk, sk: "B" } } };
      await expect(transact([action(pk), elsewhere])).rejects.toMatchObject({
        name: "ResourceNotFoundException",
      });
      expect(await get(pk, "A")).toBeUndefined();
    });
  });

  describe("queries", () => {
    const turn = (n: number) => `TURN#${String(n).padStart(10, "0")}`;

    test("one descending query answers the head and then the newest turns, and goes on where it stopped", async () => {
      const pk = partition();
      await put({ pk, sk: "TURN#HEAD" });
      for (let n = 1; n <= 7; n++) await put({ pk, sk: turn(n) });
      await put({ pk: `${pk}0`, sk: turn(99) });
      const pages: unknown[][] = [];
      let from: Record<string, unknown> | undefined;
      do {
        const { Items, LastEvaluatedKey } = await db.send(
          new QueryCommand({
            TableName: TABLE,
            KeyConditionExpression: "pk = :pk",
            ExpressionAttributeValues: { ":pk": pk },
            ScanIndexForward: false,
            Limit: 3,
            ExclusiveStartKey: from,
            ConsistentRead: true,
          }),
        );
        pages.push((Items ?? []).map(({ sk }) => sk));
        from = LastEvaluatedKey;
      } while (from);
      expect(pages).toEqual([
        ["TURN#HEAD", turn(7), turn(6)],
        [turn(5), turn(4), turn(3)],
        [turn(2), turn(1)],
      ]);
    });

    test("a range before a sort key excludes it", async () => {
      const pk = partition();
      for (let n = 1; n <= 4; n++) await put({ pk, sk: turn(n) });
      const { Items } = await db.send(
        new QueryCommand({
          TableName: TABLE,
          KeyConditionExpression: "pk = :pk AND sk < :before",
          ExpressionAttributeValues: { ":pk": pk, ":before": turn(3) },
          ScanIndexForward: false,
          ProjectionExpression: "sk",
        }),
      );
      expect(Items).toEqual([{ sk: turn(2) }, { sk: turn(1) }]);
    });

    test("the index lists an owner's heads newest first, follows updates, and pages", async () => {
      const owner = randomUUID();
      const heads = Array.from({ length: 5 }, (_, n) => ({
        pk: partition(),
        sk: "TURN#HEAD",
        owner,
        last_activity: 900 + n * 50,
      }));
      for (const head of heads) await put(head);
      await put({ pk: partition(), sk: "TURN#HEAD", owner: `${owner}x`, last_activity: 5000 });
      await put({ pk: partition(), sk: turn(1), owner });
      await db.send(
        new UpdateCommand({
          TableName: TABLE,
          Key: { pk: heads[0]?.pk, sk: "TURN#HEAD" },
          UpdateExpression: "SET last_activity = :now",
          ExpressionAttributeValues: { ":now": 2000 },
        }),
      );
      await transact([{ Delete: { TableName: TABLE, Key: { pk: heads[3]?.pk, sk: "TURN#HEAD" } } }]);
      const list = (ExclusiveStartKey?: Record<string, unknown>) =>
        db.send(
          new QueryCommand({
            TableName: TABLE,
            IndexName: "by-owner",
            KeyConditionExpression: "#owner = :owner",
            ExpressionAttributeNames: { "#owner": "owner" },
            ExpressionAttributeValues: { ":owner": owner },
            ScanIndexForward: false,
            Limit: 3,
            ExclusiveStartKey,
          }),
        );
      const first = await list();
      expect(first.Items?.map(({ last_activity }) => last_activity)).toEqual([2000, 1100, 1000]);
      const second = await list(first.LastEvaluatedKey);
      expect(second.Items).toEqual([heads[1]]);
      expect(second.LastEvaluatedKey).toBeUndefined();
    });

    test("a consistent read of the index is refused", async () => {
      const query = new QueryCommand({
        TableName: TABLE,
        IndexName: "by-owner",
        KeyConditionExpression: "#owner = :owner",
        ExpressionAttributeNames: { "#owner": "owner" },
        ExpressionAttributeValues: { ":owner": "nobody" },
        ConsistentRead: true,
      });
      await expect(db.send(query)).rejects.toMatchObject({ name: "ValidationException" });
    });
  });

  describe("values", () => {
    test("an item of 400 KB is taken and one byte more refused, in bytes rather than characters", async () => {
      const pk = partition();
      const names = "pk".length + "sk".length + "text".length;
      const room = 400 * 1024 - names - Buffer.byteLength(pk) - "A".length;
      await put({ pk, sk: "A", text: "x".repeat(room) });
      await expect(put({ pk, sk: "B", text: "x".repeat(room + 1) })).rejects.toMatchObject({
        name: "ValidationException",
        message: expect.stringContaining("size"),
      });
      await expect(put({ pk, sk: "C", text: "é".repeat(room / 2 + 1) })).rejects.toMatchObject({
        name: "ValidationException",
      });
      const grow = {
        TableName: TABLE,
        Key: { pk, sk: "A" },
        UpdateExpression: "SET more = :more",
        ExpressionAttributeValues: { ":more": "x" },
      };
      await expect(db.send(new UpdateCommand(grow))).rejects.toMatchObject({ name: "ValidationException" });
      const { CancellationReasons } = await cancellation([
        { Put: { TableName: TABLE, Item: { pk, sk: "D" } } },
        { Update: grow },
      ]);
      expect(CancellationReasons.map(({ Code }) => Code)).toEqual(["None", "ValidationError"]);
      expect(await get(pk, "D")).toBeUndefined();
      expect((await get(pk, "A"))?.["text"]).toHaveLength(room);
    });

    test("strings come back as they went, lone surrogates included", async () => {
      const pk = partition();
      const texts = [
        "",
        "Grüße aus Łódź",
        "👩‍👩‍👧 and 日本語",
        "a\u0000b\u2028\u0085",
        "\ud83d",
        "x\udc00y",
        '"\\\n',
      ];
      await put({ pk, sk: "A", texts });
      expect((await get(pk, "A"))?.["texts"]).toEqual(texts);
    });

    test("keys hold any text, and are told apart by every character", async () => {
      const pk = partition();
      const sks = ["a", "A", "a/", "a~", "é", "é".normalize("NFD"), "日本語", "😀", "a\u0000"];
      for (const [n, sk] of sks.entries()) await put({ pk, sk, n });
      for (const [n, sk] of sks.entries()) expect(await get(pk, sk)).toEqual({ pk, sk, n });
      await expect(put({ pk, sk: "" })).rejects.toMatchObject({ name: "ValidationException" });
      await expect(put({ pk: "é".repeat(1025), sk: "A" })).rejects.toMatchObject({
        name: "ValidationException",
      });
      await expect(put({ pk, sk: "A", owner: "", last_activity: 1 })).rejects.toMatchObject({
        name: "ValidationException",
      });
    });

    test("a string property round trips", async () => {
      const pk = partition();
      await fc.assert(
        fc.asyncProperty(
          fc.string({ unit: "binary" }),
          fc.string({ unit: "binary" }),
          async (text, other) => {
            await put({ pk, sk: "P", text, list: [other] });
            expect(await get(pk, "P")).toEqual({ pk, sk: "P", text, list: [other] });
          },
        ),
        { numRuns: 40 },
      );
    });

    test("numbers, nulls, booleans, bytes and nested values keep their types", async () => {
      const pk = partition();
      const value = {
        n: [0, -1.5, 2 ** 53 - 1, 123456789012345],
        nil: null,
        yes: true,
        no: false,
        deep: { list: [{}, []] },
      };
      await put({ pk, sk: "A", value, bytes: new Uint8Array([0, 255]) });
      expect(await get(pk, "A")).toEqual({ pk, sk: "A", value, bytes: new Uint8Array([0, 255]) });
    });
  });
});

test("engines agree on random histories", { timeout: 120_000 }, async () => {
  const servers = await Promise.all(engines.map(({ start }) => start()));
  const clients = servers.map(({ url }) => connect(url));
  try {
    await Promise.all(servers.map(({ url }) => ensureTable(url, tableDefinition(TABLE))));
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 15 }), async (steps) => {
        const pk = `CONV#${randomUUID()}`;
        const [reference, ...others] = await Promise.all(clients.map((client) => play(client, pk, steps)));
        for (const other of others) expect(other).toEqual(reference);
      }),
      { numRuns: 40 },
    );
  } finally {
    for (const client of clients) client.destroy();
    await Promise.all(servers.map(({ close }) => close()));
  }
});

type Step = {
  sk: string;
  kind: "Put" | "Update" | "Delete" | "ConditionCheck";
  condition: string;
  n: number;
}[];

const CONDITIONS = [
  "attribute_exists(pk)",
  "attribute_not_exists(pk)",
  "n = :n",
  "n < :n",
  "NOT n >= :n",
  "n <> :n OR attribute_not_exists(n)",
  "n BETWEEN :zero AND :n",
  "n IN (:zero, :n)",
];

const step: fc.Arbitrary<Step> = fc.uniqueArray(
  fc.record({
    sk: fc.constantFrom("A", "B", "C"),
    kind: fc.constantFrom("Put", "Update", "Delete", "ConditionCheck"),
    condition: fc.constantFrom(...CONDITIONS),
    n: fc.integer({ min: 0, max: 3 }),
  }),
  { selector: ({ sk }) => sk, minLength: 1, maxLength: 3 },
);

/** Runs each step as one transaction; answers what became of each, and what is there at the end. */
async function play(client: DynamoDBDocumentClient, pk: string, steps: Step[]): Promise<unknown> {
  const outcomes: unknown[] = [];
  for (const actions of steps) {
    const TransactItems = actions.map(({ sk, kind, condition, n }) => {
      const update = "SET m = if_not_exists(m, :zero) + :n, n = :n, #owner = :owner, last_activity = :n";
      const isUpdate = kind === "Update";
      const values: Record<string, unknown> = {
        ...((isUpdate || condition.includes(":n")) && { ":n": n }),
        ...((isUpdate || condition.includes(":zero")) && { ":zero": 0 }),
        ...(isUpdate && { ":owner": pk }),
      };
      const fields = {
        TableName: TABLE,
        ConditionExpression: condition,
        ReturnValuesOnConditionCheckFailure: "ALL_OLD",
        ...(Object.keys(values).length > 0 && { ExpressionAttributeValues: values }),
        ...(isUpdate && { UpdateExpression: update, ExpressionAttributeNames: { "#owner": "owner" } }),
        ...(kind === "Put" ? { Item: { pk, sk, n } } : { Key: { pk, sk } }),
      };
      return { [kind]: fields } as Actions[number];
    });
    const outcome = await client.send(new TransactWriteCommand({ TransactItems })).then(
      () => "done",
      ({ name, CancellationReasons }: Cancelled & { name: string }) => [
        name,
        CancellationReasons?.map(({ Code, Item }) => [Code, Item]),
      ],
    );
    outcomes.push(outcome);
  }
  const table = await client.send(
    new QueryCommand({
      TableName: TABLE,
      KeyConditionExpression: "pk = :pk",
      ExpressionAttributeValues: { ":pk": pk },
      ConsistentRead: true,
    }),
  );
  const index = await client.send(
    new QueryCommand({
      TableName: TABLE,
      IndexName: "by-owner",
      KeyConditionExpression: "#owner = :owner",
      ExpressionAttributeNames: { "#owner": "owner" },
      ExpressionAttributeValues: { ":owner": pk },
    }),
  );
  // Index entries of equal activity have no promised order.
  const entries = index.Items?.toSorted((a, b) => (String(a["sk"]) < String(b["sk"]) ? -1 : 1));
  return { outcomes, items: table.Items, entries };
}

function ignoreConflict(error: { name: string; CancellationReasons?: { Code: string }[] }): undefined {
  const conflict =
    error.name === "TransactionConflictException" ||
    error.CancellationReasons?.some(({ Code }) => Code === "TransactionConflict");
  if (!conflict) throw error;
}
