import { randomUUID } from "node:crypto";
import { createMongoClient } from "@parley/core/conversation/mongo-client";
import { migrateMongo } from "@parley/core/conversation/mongo-schema";
import type { MongoClient, MongoClientOptions } from "mongodb";

/** A driver that looks again at once when its server has failed, instead of waiting for half a second. */
const IMPATIENT: MongoClientOptions = { minHeartbeatFrequencyMS: 10 };

export type MongoUnderTest = { url: string; close(): Promise<void> };

/** The MongoDB that `MONGODB_URI` names, for suites that run on a real one where there is one. */
export function realMongo(): MongoUnderTest | undefined {
  const url = process.env["MONGODB_URI"];
  return url ? { url, close: async () => {} } : undefined;
}

export function tellSkipped(suite: string): void {
  process.stdout.write(`${suite} was not run on a real MongoDB: MONGODB_URI is not set\n`);
}

/** A database of one's own with its indexes, removed at the end; each `client` is another container's. */
export async function mongoDatabase(engine: MongoUnderTest, options: MongoClientOptions = {}) {
  const database = `parley_test_${randomUUID()}`;
  const clients: MongoClient[] = [];
  function client(): MongoClient {
    const made = createMongoClient(engine.url, { ...IMPATIENT, ...options });
    clients.push(made);
    return made;
  }
  const db = client().db(database);
  await migrateMongo(db);
  return {
    database,
    db,
    client,
    async close() {
      // What is in memory goes by itself.
      if (engine.url === realMongo()?.url) await db.dropDatabase();
      await Promise.all(clients.map((one) => one.close()));
      await engine.close();
    },
  };
}
