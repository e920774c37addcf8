import { setTimeout as sleep } from "node:timers/promises";
import {
  CreateTableCommand,
  type CreateTableCommandInput,
  DescribeTableCommand,
  DescribeTimeToLiveCommand,
  DynamoDBClient,
  ResourceInUseException,
  type TableDescription,
  UpdateTimeToLiveCommand,
} from "@aws-sdk/client-dynamodb";
import { localConfig } from "../local-config.ts";

const ACTIVE_WITHIN_MS = 30_000;

/**
 * Creates the table when it is missing, and waits until it is ACTIVE. Throws when a table of that name is there
 * with other keys or indexes, and when it does not become ACTIVE within 30 s. `database` is a client or the URL of
 * a local server.
 */
export async function ensureTable(
  database: DynamoDBClient | string,
  definition: CreateTableCommandInput,
): Promise<void> {
  if (typeof database !== "string") return ensure(database, definition);
  const client = new DynamoDBClient(localConfig(database));
  try {
    await ensure(client, definition);
  } finally {
    client.destroy();
  }
}

/** Has the table's items removed when `AttributeName` says so. Throws when another attribute does already. */
export async function ensureTimeToLive(
  client: DynamoDBClient,
  TableName: string,
  AttributeName: string,
): Promise<void> {
  const { TimeToLiveDescription: current } = await client.send(new DescribeTimeToLiveCommand({ TableName }));
  if (current?.AttributeName === undefined) {
    const TimeToLiveSpecification = { Enabled: true, AttributeName };
    await client.send(new UpdateTimeToLiveCommand({ TableName, TimeToLiveSpecification }));
  } else if (current.AttributeName !== AttributeName) {
    throw new Error(
      `table ${TableName} has its time to live on ${current.AttributeName}, not ${AttributeName}`,
    );
  }
}

async function ensure(client: DynamoDBClient, definition: CreateTableCommandInput): Promise<void> {
  const { TableName } = definition;
  try {
    await client.send(new CreateTableCommand(definition));
  } catch (error) {
    if (!(error instanceof ResourceInUseException)) throw error;
  }
  const deadline = Date.now() + ACTIVE_WITHIN_MS;
  for (;;) {
    const { Table } = await client.send(new DescribeTableCommand({ TableName }));
    if (Table?.TableStatus === "ACTIVE") {
      if (shape(Table) === shape(definition)) return;
      throw new Error(
        `table ${TableName} was made by another version, with other keys or indexes: delete it`,
      );
    }
    if (Date.now() > deadline) throw new Error(`table ${TableName} is still ${Table?.TableStatus}`);
    await sleep(20);
  }
}

/** Keys and indexes as text, the same for what was asked for and for what is there. */
function shape({ KeySchema, GlobalSecondaryIndexes }: TableDescription | CreateTableCommandInput): string {
  const keys = (schema: TableDescription["KeySchema"]) =>
    schema?.map(({ AttributeName, KeyType }) => `${AttributeName} ${KeyType}`).join(", ");
  const indexes = GlobalSecondaryIndexes?.map(
    (index) => `${index.IndexName}: ${keys(index.KeySchema)}`,
  ).sort();
  return [keys(KeySchema), ...(indexes ?? [])].join("; ");
}
