import { randomUUID } from "node:crypto";
import type { DynamoDBClientConfig } from "@aws-sdk/client-dynamodb";
import { GetCommand, PutCommand } from "@aws-sdk/lib-dynamodb";
import { type Clock, systemClock } from "@parley/core/clock";
import type { ConversationStore } from "@parley/core/conversation/conversation-store";
import { createDynamoClient } from "@parley/core/conversation/dynamo-client";
import { DynamoStore } from "@parley/core/conversation/dynamo-store";
import { tableDefinition } from "@parley/core/conversation/dynamo-table";
import { MongoStore } from "@parley/core/conversation/mongo-store";
import type { Retention } from "@parley/core/conversation/retention";
import { DynamoOutbox } from "@parley/core/telegram/dynamo-outbox";
import { MongoOutbox } from "@parley/core/telegram/mongo-outbox";
import type { Outbox } from "@parley/core/telegram/outbox";
import { ensureTable } from "@parley/local/dynamodb/ensure-table";
import { startDynamo } from "@parley/local/dynamodb/server";
import { localConfig } from "@parley/local/local-config";
import { startMongo } from "@parley/local/mongodb/server";
import { dynamoTools, mongoTools, type StoreTools } from "@parley/local/store/tools";
import { dynamoLocalProblem, startDynamoLocal } from "./dynamodb-local.ts";
import { type MongoServer, mongoDatabase, mongoProblem, realMongo } from "./mongodb.ts";

type RowKey = { pk: string; collection: string; id: string };

/** Everything that one engine keeps, empty at first. Each store and outbox is another container's. */
export type Stores = StoreTools & {
  store(retention?: Retention): ConversationStore;
  outbox(clock?: Clock): Outbox;
  /** Puts a row there as a hand would, past the store. */
  putByHand(key: RowKey, fields: object): Promise<void>;
  rowBy(key: RowKey): Promise<Record<string, unknown> | undefined>;
};

export async function dynamoStores(
  engine: { url: string; close(): Promise<void> },
  options: () => Partial<DynamoDBClientConfig> = () => ({}),
): Promise<Stores> {
  const table = `parley_test_${randomUUID()}`;
  await ensureTable(engine.url, tableDefinition(table));
  const clients: { destroy(): void }[] = [];
  function connect() {
    const client = createDynamoClient({ ...localConfig(engine.url), ...options() });
    clients.push(client);
    return { client, table };
  }
  const { client } = connect();
  const tools = dynamoTools(localConfig(engine.url), table);
  const keyOf = (pk: string) => ({ pk, sk: pk.replace(/#.*/, "") });
  return {
    ...tools,
    store: (retention) => new DynamoStore({ ...connect(), ...(retention && { retention }) }),
    outbox: (clock = systemClock) => new DynamoOutbox({ ...connect(), clock }),
    async putByHand({ pk }, fields) {
      await client.send(new PutCommand({ TableName: table, Item: { ...keyOf(pk), ...fields } }));
    },
    rowBy: async ({ pk }) => (await client.send(new GetCommand({ TableName: table, Key: keyOf(pk) }))).Item,
    async close() {
      for (const one of clients) one.destroy();
      await tools.close();
      await engine.close();
    },
  };
}

export async function mongoStores(engine: MongoServer): Promise<Stores> {
  const { database, db, client, close } = await mongoDatabase(engine);
  const collection = (name: string) => db.collection<{ _id: string }>(name);
  const connect = () => ({ client: client(), database });
  return {
    ...(await mongoTools(client(), database)),
    store: (retention) => new MongoStore({ ...connect(), ...(retention && { retention }) }),
    outbox: (clock = systemClock) => new MongoOutbox({ ...connect(), clock }),
    async putByHand({ collection: name, id }, fields) {
      await collection(name).replaceOne({ _id: id }, fields, { upsert: true });
    },
    rowBy: async ({ collection: name, id }) => (await collection(name).findOne({ _id: id })) ?? undefined,
    close,
  };
}

/** Of an `expires_at`, in milliseconds: DynamoDB's is a number of seconds, MongoDB's a date. */
export const timeOf = (expiry: unknown): number =>
  expiry instanceof Date ? expiry.getTime() : Number(expiry) * 1_000;

type Engine = {
  name: string;
  open(): Promise<Stores>;
  /** Why it is not here. */
  problem?: string | undefined;
};

/** Ours: what a laptop has instead. */
export const standIns: Engine[] = [
  { name: "DynamoDB, the stand-in", open: async () => dynamoStores(await startDynamo()) },
  { name: "MongoDB, the stand-in", open: async () => mongoStores(await startMongo()) },
];

/** Those that others have written, where there are any. */
export const originals: Engine[] = [
  {
    name: "DynamoDB, Amazon's DynamoDB Local",
    open: async () => dynamoStores(await startDynamoLocal()),
    problem: dynamoLocalProblem(),
  },
  { name: "MongoDB at MONGODB_URI", open: async () => mongoStores(realMongo()), problem: mongoProblem() },
];
