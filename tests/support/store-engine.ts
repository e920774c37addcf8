import { DeleteCommand, paginateScan } from "@aws-sdk/lib-dynamodb";
import type { ConversationStore } from "@parley/core/conversation/conversation-store";
import { createDynamoClient } from "@parley/core/conversation/dynamo-client";
import { headKey, turnKey } from "@parley/core/conversation/dynamo-items";
import { DynamoStore } from "@parley/core/conversation/dynamo-store";
import { tableDefinition } from "@parley/core/conversation/dynamo-table";
import { createMongoClient } from "@parley/core/conversation/mongo-client";
import { migrateMongo, mongoIndexes } from "@parley/core/conversation/mongo-schema";
import { MongoStore } from "@parley/core/conversation/mongo-store";
import { ensureTable } from "@parley/local/dynamodb/ensure-table";
import { startDynamo } from "@parley/local/dynamodb/server";
import type { Fault } from "@parley/local/faults";
import { localConfig } from "@parley/local/local-config";
import { startMongo } from "@parley/local/mongodb/server";
import type { Requests } from "@parley/local/requests";

export type StoreKind = "dynamodb" | "mongodb";

/** Where conversations are kept: `TEST_STORE=mongodb` runs the same tests on MongoDB. */
export const storeUnderTest = (): StoreKind =>
  process.env["TEST_STORE"] === "mongodb" ? "mongodb" : "dynamodb";

type Row = Record<string, unknown>;

export type StoreEngine = {
  kind: StoreKind;
  url: string;
  /** What leads the functions there. */
  env: Record<string, string>;
  /** Totals since the start; take two and subtract. */
  requests(): Requests;
  /** Makes requests fail; `operation` is the engine's own name of one. Returns what lifts the fault again. */
  inject(fault: Fault): () => void;
  /** Its own names of the requests that conversations make, and how often each is tried. */
  operations: readonly string[];
  tries: number;
  /** For functions that give up at the first failure: their settings, and the failures that it takes. */
  oneTry: { env: Record<string, string>; times: number };
  /** Rows that a turn adds to its conversation. */
  rowsPerTurn: number;
  /** Another container's. */
  connect(): ConversationStore;
  /** Everything that is kept. */
  rows(): Promise<Row[]>;
  /** Of an owner. */
  rowsOf(owner: string): Promise<Row[]>;
  /** A conversation of one turn vanishes, and nobody is told. */
  vanish(conversationId: string): Promise<void>;
  close(): Promise<void>;
};

export type StoreOptions = {
  /** Of a transaction whose client has died; MongoDB's own is a minute. */
  transactionLifetimeMs?: number;
};

export const startStoreEngine = (
  kind: StoreKind = storeUnderTest(),
  options: StoreOptions = {},
): Promise<StoreEngine> => (kind === "mongodb" ? startMongoEngine(options) : startDynamoEngine());

const TABLE = "parley";
/** For AWS's SDK: the queue's client is AWS's, whatever the store. */
const AWS = { AWS_REGION: "us-east-1", AWS_ACCESS_KEY_ID: "local", AWS_SECRET_ACCESS_KEY: "local" };

async function startDynamoEngine(): Promise<StoreEngine> {
  const dynamo = await startDynamo();
  await ensureTable(dynamo.url, tableDefinition(TABLE));
  const connect = () => createDynamoClient(localConfig(dynamo.url));
  const client = connect();
  const clients = [client];
  async function rows(): Promise<Row[]> {
    const items: Row[] = [];
    for await (const page of paginateScan({ client }, { TableName: TABLE, ConsistentRead: true })) {
      items.push(...(page.Items ?? []));
    }
    return items;
  }
  return {
    ...dynamo,
    kind: "dynamodb",
    operations: ["TransactWriteItems", "UpdateItem", "PutItem", "GetItem", "Query"],
    tries: 4,
    oneTry: { env: { AWS_MAX_ATTEMPTS: "1" }, times: 1 },
    // Itself, and its turn id.
    rowsPerTurn: 2,
    env: {
      CONVERSATIONS_TABLE: TABLE,
      AWS_ENDPOINT_URL_DYNAMODB: dynamo.url,
      ...AWS,
    },
    connect() {
      const own = connect();
      clients.push(own);
      return new DynamoStore({ client: own, table: TABLE });
    },
    rows,
    async rowsOf(owner) {
      const items = await rows();
      const own = new Set(items.filter((item) => item["owner"] === owner).map(({ pk }) => pk));
      return items.filter(
        ({ pk }) => own.has(pk) || /^(?:KEY|SESSION)#([^#]*)#/.exec(String(pk))?.[1] === owner,
      );
    },
    async vanish(id) {
      for (const Key of [headKey(id), turnKey(id, 1)]) {
        await client.send(new DeleteCommand({ TableName: TABLE, Key }));
      }
    },
    async close() {
      for (const each of clients) each.destroy();
      await dynamo.close();
    },
  };
}

async function startMongoEngine(options: StoreOptions): Promise<StoreEngine> {
  const mongo = await startMongo(options);
  const database = "parley";
  const client = createMongoClient(mongo.url);
  const clients = [client];
  const db = client.db(database);
  await migrateMongo(db);
  async function rows(): Promise<Row[]> {
    const names = Object.keys(mongoIndexes);
    return (await Promise.all(names.map((name) => db.collection(name).find().toArray()))).flat();
  }
  return {
    ...mongo,
    kind: "mongodb",
    operations: ["findAndModify", "insert", "update", "commitTransaction", "find"],
    tries: 2,
    oneTry: {
      env: { MONGODB_URI: `${mongo.url}&retryReads=false&retryWrites=false` },
      // What the driver does not repeat at all, the store does.
      times: 2,
    },
    rowsPerTurn: 1,
    env: {
      STORE: "mongodb",
      MONGODB_URI: mongo.url,
      MONGODB_DATABASE: database,
      ...AWS,
    },
    connect() {
      const own = createMongoClient(mongo.url);
      clients.push(own);
      return new MongoStore({ client: own, database });
    },
    rows,
    rowsOf: async (owner) => (await rows()).filter((row) => row["owner"] === owner),
    async vanish(id) {
      await db.collection<{ _id: string }>("conversations").deleteOne({ _id: id });
      await db.collection("turns").deleteMany({ conversation_id: id });
    },
    async close() {
      await Promise.all(clients.map((each) => each.close()));
      await mongo.close();
    },
  };
}
