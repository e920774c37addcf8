import { systemClock } from "@parley/core/clock";
import type { ConversationStore } from "@parley/core/conversation/conversation-store";
import { createDynamoClient } from "@parley/core/conversation/dynamo-client";
import { DynamoStore } from "@parley/core/conversation/dynamo-store";
import { tableDefinition } from "@parley/core/conversation/dynamo-table";
import { MongoStore } from "@parley/core/conversation/mongo-store";
import { DynamoOutbox } from "@parley/core/telegram/dynamo-outbox";
import { MongoOutbox } from "@parley/core/telegram/mongo-outbox";
import type { Outbox } from "@parley/core/telegram/outbox";
import { ensureTable } from "@parley/local/dynamodb/ensure-table";
import { startDynamo } from "@parley/local/dynamodb/server";
import { startMongo } from "@parley/local/mongodb/server";
import { dynamoTools, mongoTools, type StoreTools } from "@parley/local/store/tools";
import { startDynamoLocal } from "./dynamodb-local.ts";
import { mongoDatabase, realMongo, tellSkipped } from "./mongodb.ts";

const TABLE = "parley";

export type ToolsUnderTest = StoreTools & {
  store: ConversationStore;
  outbox: Outbox;
  /** Puts a row there as a hand would, past the store. */
  putByHand(key: { pk: string; collection: string; id: string }, fields: object): Promise<void>;
  rowBy(key: { pk: string; collection: string; id: string }): Promise<Record<string, unknown> | undefined>;
};

async function dynamo(engine: { url: string; close(): Promise<void> }): Promise<ToolsUnderTest> {
  await ensureTable(engine.url, tableDefinition(TABLE));
  const { PutCommand, GetCommand } = await import("@aws-sdk/lib-dynamodb");
  const config = {
    endpoint: engine.url,
    region: "us-east-1",
    credentials: { accessKeyId: "local", secretAccessKey: "local" },
  };
  const client = createDynamoClient(config);
  const tools = dynamoTools(config, TABLE);
  const keyOf = (pk: string) => ({ pk, sk: pk.replace(/#.*/, "") });
  return {
    ...tools,
    store: new DynamoStore({ client, table: TABLE }),
    outbox: new DynamoOutbox({ client, table: TABLE, clock: systemClock }),
    async putByHand({ pk }, fields) {
      await client.send(new PutCommand({ TableName: TABLE, Item: { ...keyOf(pk), ...fields } }));
    },
    rowBy: async ({ pk }) => (await client.send(new GetCommand({ TableName: TABLE, Key: keyOf(pk) }))).Item,
    async close() {
      client.destroy();
      await tools.close();
      await engine.close();
    },
  };
}

async function mongo(engine: { url: string; close(): Promise<void> }): Promise<ToolsUnderTest> {
  const { database, db, client, close } = await mongoDatabase(engine);
  const collection = (name: string) => db.collection<{ _id: string }>(name);
  return {
    ...(await mongoTools(client(), database)),
    store: new MongoStore({ client: client(), database }),
    outbox: new MongoOutbox({ client: client(), database, clock: systemClock }),
    async putByHand({ collection: name, id }, fields) {
      await collection(name).replaceOne({ _id: id }, fields, { upsert: true });
    },
    rowBy: async ({ collection: name, id }) => (await collection(name).findOne({ _id: id })) ?? undefined,
    close,
  };
}

type Opener = [name: string, open: () => Promise<ToolsUnderTest>];

export const standIns: Opener[] = [
  ["DynamoDB, the stand-in", async () => dynamo(await startDynamo())],
  ["MongoDB, the stand-in", async () => mongo(await startMongo())],
];

/** Every engine that there is here, by name; says which there are not. */
export async function enginesOf(suite: string): Promise<Opener[]> {
  const engines = [...standIns];
  const amazon = await startDynamoLocal();
  if ("url" in amazon) engines.push(["DynamoDB, Amazon's DynamoDB Local", () => dynamo(amazon)]);
  else process.stdout.write(`${suite} was not run on Amazon's DynamoDB Local: ${amazon.unavailable}\n`);
  const real = realMongo();
  if (real) engines.push(["MongoDB at MONGODB_URI", () => mongo(real)]);
  else tellSkipped(suite);
  return engines;
}
