import { DescribeTimeToLiveCommand } from "@aws-sdk/client-dynamodb";
import { createDynamoClient } from "@parley/core/conversation/dynamo-client";
import { DynamoStore } from "@parley/core/conversation/dynamo-store";
import { tableDefinition } from "@parley/core/conversation/dynamo-table";
import { startDynamo } from "@parley/local/dynamodb/server";
import { localConfig } from "@parley/local/local-config";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { conversationStoreContract } from "../contract/conversation-store.ts";
import { linksOf } from "../support/sst/archives.ts";
import { createGraphTable, tableOf } from "../support/sst/deployed.ts";
import { stageGraph } from "../support/sst/stages.ts";

const production = stageGraph("production");
const client = (endpoint: string) => createDynamoClient(localConfig(endpoint));

describe("the table", () => {
  test("is the one that the store is written for", () => {
    const definition = tableOf(production);
    expect(definition).toEqual(tableDefinition(definition.TableName));
  });

  test("is protected in production alone", () => {
    const protection = (stage: "development" | "production") => {
      const { deletionProtectionEnabled, pointInTimeRecovery } =
        stageGraph(stage).one("aws:dynamodb/table:Table").inputs;
      return { deletionProtectionEnabled, pointInTimeRecovery };
    };
    expect(protection("production")).toEqual({
      deletionProtectionEnabled: true,
      pointInTimeRecovery: { enabled: true },
    });
    expect(protection("development")).toEqual({
      deletionProtectionEnabled: false,
      pointInTimeRecovery: { enabled: false },
    });
  });
});

describe("made from the graph in a DynamoDB", () => {
  let dynamo: Awaited<ReturnType<typeof startDynamo>>;
  beforeAll(async () => {
    dynamo = await startDynamo();
  });
  afterAll(() => dynamo.close());

  test("it expires what has expires_at", async () => {
    const TableName = await createGraphTable(production, dynamo.url);
    const { TimeToLiveDescription } = await client(dynamo.url).send(
      new DescribeTimeToLiveCommand({ TableName }),
    );
    expect(TimeToLiveDescription).toEqual({ TimeToLiveStatus: "ENABLED", AttributeName: "expires_at" });
  });
});

conversationStoreContract("the graph's table", async () => {
  const dynamo = await startDynamo();
  const table = await createGraphTable(production, dynamo.url);
  return {
    store: (retention) =>
      new DynamoStore({ client: client(dynamo.url), table, ...(retention && { retention }) }),
    close: () => dynamo.close(),
  };
});

describe("with STORE=mongodb", () => {
  const mongodb = stageGraph("mongodb");

  test("there is no table, and who would use it is linked to MongoDB", async () => {
    expect(mongodb.all("aws:dynamodb/table:Table")).toEqual([]);
    for (const name of ["StartConversation", "ListConversations", "TelegramWorker", "Health"]) {
      expect(await linksOf(mongodb, name)).toMatchObject({ MongoDbUri: { value: "mongodb://127.0.0.1:1" } });
      expect(mongodb.environment(name)["STORE"]).toBe("mongodb");
    }
  });

  test("nobody may do anything with DynamoDB", () => {
    const actions = mongodb.functions.flatMap((name) => mongodb.policy(name).flatMap(({ Action }) => Action));
    expect(actions.filter((action) => action.startsWith("dynamodb:"))).toEqual([]);
  });
});
