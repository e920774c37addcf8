import { join } from "node:path";
import { DynamoDBClient } from "@aws-sdk/client-dynamodb";
import { TTL_ATTRIBUTE, tableDefinition } from "@parley/core/conversation/dynamo-table";
import { ensureTable, ensureTimeToLive } from "../dynamodb/ensure-table.ts";
import { startDynamo } from "../dynamodb/server.ts";
import type { Settings } from "../env.ts";
import { hostOf } from "../host-of.ts";
import { localConfig } from "../local-config.ts";
import { LOCAL_CREDENTIALS, type OpenedStore, regionOf, startOn } from "./opened-store.ts";

const DEFAULT_TABLE = "parley";

/** The DynamoDB that the settings name, else the emulator: `inMemory` when its folder is another process's. */
export async function openDynamo(
  settings: Settings,
  dataDir: string,
  { inMemory = false }: { inMemory?: boolean } = {},
): Promise<OpenedStore> {
  const region = regionOf(settings);
  const table = settings["CONVERSATIONS_TABLE"];
  if (settings["DYNAMODB"] === "aws") {
    if (table === undefined) throw new Error("DYNAMODB=aws needs CONVERSATIONS_TABLE, the table's name");
    return {
      summary: { part: "Store", kind: "real", what: `DynamoDB table ${table} in ${region}` },
      env: { AWS_REGION: region },
      isMadeAtStart: false,
      migrate: (told) => migrate(new DynamoDBClient({ region }), table, told),
      tools: async () => (await import("./tools.ts")).dynamoTools({ region }, table),
      close: async () => {},
    };
  }
  const { url, ...opened } = await localDynamo(settings["AWS_ENDPOINT_URL_DYNAMODB"], dataDir, inMemory);
  const name = table ?? DEFAULT_TABLE;
  return {
    ...opened,
    env: {
      AWS_ENDPOINT_URL_DYNAMODB: url,
      AWS_REGION: region,
      CONVERSATIONS_TABLE: name,
      ...LOCAL_CREDENTIALS,
    },
    isMadeAtStart: true,
    migrate: (told) => migrate(new DynamoDBClient(localConfig(url, region)), name, told),
    tools: async () => (await import("./tools.ts")).dynamoTools(localConfig(url, region), name),
  };
}

async function migrate(client: DynamoDBClient, table: string, told: (line: string) => void = () => {}) {
  try {
    await ensureTable(client, tableDefinition(table));
    told(`table ${table}: ready`);
    await ensureTimeToLive(client, table, TTL_ATTRIBUTE);
    told(`time to live on ${TTL_ATTRIBUTE}: on`);
  } finally {
    client.destroy();
  }
}

async function localDynamo(given: string | undefined, dataDir: string, inMemory: boolean) {
  if (given !== undefined) {
    const what = `DynamoDB at ${hostOf(given)}`;
    return { url: given, summary: { part: "Store", kind: "real", what } as const, close: async () => {} };
  }
  const path = join(dataDir, "dynamodb");
  const dynamo = await (inMemory ? startDynamo() : startOn(path, startDynamo));
  const where = inMemory ? `in memory only: another Parley has ${path}` : `in ${path}`;
  const summary = { part: "Store", kind: "local", what: `DynamoDB emulated, ${where}` } as const;
  return { url: dynamo.url, summary, close: () => dynamo.close() };
}
