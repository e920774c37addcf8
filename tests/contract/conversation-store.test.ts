import { createDynamoClient } from "@parley/core/conversation/dynamo-client";
import { DynamoStore } from "@parley/core/conversation/dynamo-store";
import { tableDefinition } from "@parley/core/conversation/dynamo-table";
import { MongoStore } from "@parley/core/conversation/mongo-store";
import type { Retention } from "@parley/core/conversation/retention";
import { ensureTable } from "@parley/local/dynamodb/ensure-table";
import { startDynamo } from "@parley/local/dynamodb/server";
import { startMongo } from "@parley/local/mongodb/server";
import { startDynamoLocal } from "../support/dynamodb-local.ts";
import { type MongoUnderTest, mongoDatabase, realMongo, tellSkipped } from "../support/mongodb.ts";
import { conversationStoreContract } from "./conversation-store.ts";

const TABLE = "conversations";

async function storesOn(engine: { url: string; close(): Promise<void> }) {
  await ensureTable(engine.url, tableDefinition(TABLE));
  const clients: { destroy(): void }[] = [];
  return {
    connect(retention?: Retention) {
      const credentials = { accessKeyId: "local", secretAccessKey: "local" };
      const client = createDynamoClient({ endpoint: engine.url, region: "us-east-1", credentials });
      clients.push(client);
      return new DynamoStore({ client, table: TABLE, ...(retention && { retention }) });
    },
    async close() {
      for (const client of clients) client.destroy();
      await engine.close();
    },
  };
}

conversationStoreContract("DynamoDB, the stand-in", async () => storesOn(await startDynamo()));

const amazon = await startDynamoLocal();
if ("url" in amazon) conversationStoreContract("DynamoDB, Amazon's DynamoDB Local", () => storesOn(amazon));
else
  process.stdout.write(
    `the store's contract was not run on Amazon's DynamoDB Local: ${amazon.unavailable}\n`,
  );

async function mongoStoresOn(engine: MongoUnderTest) {
  const { database, client, close } = await mongoDatabase(engine);
  return {
    connect: (retention?: Retention) =>
      new MongoStore({ client: client(), database, ...(retention && { retention }) }),
    close,
  };
}

conversationStoreContract("MongoDB, the stand-in", async () => mongoStoresOn(await startMongo()));

const real = realMongo();
if (real) conversationStoreContract("MongoDB at MONGODB_URI", () => mongoStoresOn(real));
else tellSkipped("the store's contract");
