import { join } from "node:path";
import { Config } from "@parley/core/config";
import { createMongoClient } from "@parley/core/conversation/mongo-client";
import { migrateMongo } from "@parley/core/conversation/mongo-schema";
import type { Settings } from "../env.ts";
import { startMongo } from "../mongodb/server.ts";
import { LOCAL_CREDENTIALS, type OpenedStore, regionOf, startOn } from "./opened-store.ts";

/** The MongoDB that `MONGODB_URI` names, else our own: `inMemory` when its folder is another process's. */
export async function openMongo(
  settings: Settings,
  dataDir: string,
  { inMemory = false }: { inMemory?: boolean } = {},
): Promise<OpenedStore> {
  if (settings["MONGODB_URI"] !== undefined) return { ...connect(settings), close: async () => {} };
  const path = join(dataDir, "mongodb");
  const mongo = await (inMemory ? startMongo() : startOn(path, startMongo));
  const where = inMemory ? `in memory only: another Parley has ${path}` : `in ${path}`;
  try {
    const connected = connect({ ...settings, MONGODB_URI: mongo.url });
    const summary = { part: "Store", kind: "local", what: `MongoDB emulated, ${where}` } as const;
    return { ...connected, summary, close: () => mongo.close() };
  } catch (error) {
    await mongo.close();
    throw error;
  }
}

/** @throws AppError failed_precondition when a setting is wrong */
function connect(settings: Settings): Omit<OpenedStore, "close"> {
  const store = new Config({ ...settings, STORE: "mongodb" }).store;
  if (store.kind !== "mongodb") throw new Error("STORE is not mongodb");
  const { uri, database } = store;
  // It connects when somebody asks for something.
  const { options } = createMongoClient(uri);
  const server = options.srvHost ?? options.hosts.join(", ");
  return {
    summary: { part: "Store", kind: "real", what: `MongoDB at ${server}, database ${database}` },
    env: {
      STORE: "mongodb",
      MONGODB_URI: uri,
      MONGODB_DATABASE: database,
      // For the queue, which is AWS's all the same.
      AWS_REGION: regionOf(settings),
      ...LOCAL_CREDENTIALS,
    },
    isMadeAtStart: true,
    tools: async () => (await import("./tools.ts")).mongoTools(createMongoClient(uri), database),
    async migrate(told = () => {}) {
      const client = createMongoClient(uri);
      try {
        await migrateMongo(client.db(database), (collection) => told(`collection ${collection}: ready`));
      } catch (error) {
        throw new Error(
          `MONGODB_URI: ${server} says: ${error instanceof Error ? error.message : String(error)}`,
          {
            cause: error,
          },
        );
      } finally {
        await client.close();
      }
    },
  };
}
