import type { DynamoDBClientConfig } from "@aws-sdk/client-dynamodb";
import { DynamoPromptStore } from "@parley/core/assistant/dynamo-prompt-store";
import type { PromptStore } from "@parley/core/assistant/prompt-store";
import { createDynamoClient } from "@parley/core/conversation/dynamo-client";
import { DynamoTombstones } from "@parley/core/telegram/dynamo-tombstones";
import type { Tombstones } from "@parley/core/telegram/tombstones";
import type { MongoClient } from "mongodb";
import { DynamoUserRows } from "./dynamo-user-rows.ts";
import type { UserRows } from "./user-rows.ts";

/** What an operator does with a store beside making it. */
export type StoreTools = {
  rows: UserRows;
  tombstones: Tombstones;
  prompts: PromptStore;
  close(): Promise<void>;
};

export function dynamoTools(config: DynamoDBClientConfig, table: string): StoreTools {
  const client = createDynamoClient(config);
  const options = { client, table };
  return {
    rows: new DynamoUserRows(options),
    tombstones: new DynamoTombstones(options),
    prompts: new DynamoPromptStore(options),
    close: async () => client.destroy(),
  };
}

/** MongoDB's driver is loaded only for it. */
export async function mongoTools(client: MongoClient, database: string): Promise<StoreTools> {
  const [{ MongoUserRows }, { MongoTombstones }, { MongoPromptStore }] = await Promise.all([
    import("./mongo-user-rows.ts"),
    import("@parley/core/telegram/mongo-tombstones"),
    import("@parley/core/assistant/mongo-prompt-store"),
  ]);
  const options = { client, database };
  return {
    rows: new MongoUserRows(options),
    tombstones: new MongoTombstones(options),
    prompts: new MongoPromptStore(options),
    close: () => client.close(),
  };
}
