import { deployment } from "./deployment.ts";
import { stageOf } from "./stages.ts";

const stage = stageOf($app.stage);

// A link tells the table's name and grants nothing: what a function may do with the table is said where it is made.
sst.Linkable.wrap(sst.aws.Dynamo, (table) => ({ properties: { name: table.name } }));

const mongoDb = deployment.store === "mongodb";

/** The table; packages/core/src/conversation/dynamo-table.ts tells what is in it. */
const table = mongoDb
  ? undefined
  : new sst.aws.Dynamo("Conversations", {
      fields: { pk: "string", sk: "string", owner: "string", last_activity: "number" },
      primaryIndex: { hashKey: "pk", rangeKey: "sk" },
      globalIndexes: { "by-owner": { hashKey: "owner", rangeKey: "last_activity" } },
      ttl: "expires_at",
      deletionProtection: stage.protectData,
      transform: { table: { pointInTimeRecovery: { enabled: stage.protectData } } },
    });

export const tableName = table?.name;

/** What leads a function to the store. */
export const store = [table ?? new sst.Secret("MongoDbUri")];
export const storeSettings: Record<string, string> = mongoDb ? { STORE: "mongodb" } : {};

/** IAM's permissions for what a function does with the table; a transaction needs those of its items. */
function allow(...operations: string[]) {
  if (!table) return [];
  return [{ actions: operations.map((name) => `dynamodb:${name}`), resources: [table.arn] }];
}

export const mayAnswer = allow("Query", "GetItem", "PutItem", "UpdateItem");
export const mayRead = allow("Query");
export const mayErase = allow("Query", "UpdateItem", "DeleteItem");
export const mayPing = allow("GetItem");
export const mayList = table
  ? [{ actions: ["dynamodb:Query"], resources: [$interpolate`${table.arn}/index/by-owner`] }]
  : [];
