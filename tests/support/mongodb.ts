import { randomUUID } from "node:crypto";
import { createMongoClient } from "@parley/core/conversation/mongo-client";
import { migrateMongo } from "@parley/core/conversation/mongo-schema";
import type { MongoClient, MongoClientOptions } from "mongodb";

/** A driver that looks again at once when its server has failed, instead of waiting for half a second. */
const IMPATIENT: MongoClientOptions = { minHeartbeatFrequencyMS: 10 };

export type MongoServer = {
  url: string;
  /** It outlives the test, and what the test leaves there. */
  isShared?: boolean;
  close(): Promise<void>;
};

const { MONGODB_URI } = process.env;

/** Why there is no MongoDB but our own. */
export const mongoProblem = () => (MONGODB_URI ? undefined : "MONGODB_URI is not set");

/** The MongoDB that `MONGODB_URI` names. */
export function realMongo(): MongoServer {
  if (!MONGODB_URI) throw new Error("MONGODB_URI is not set");
  return { url: MONGODB_URI, isShared: true, close: async () => {} };
}

/** A database of one's own with its indexes, removed at the end; each `client` is another container's. */
export async function mongoDatabase(engine: MongoServer) {
  const database = `parley_test_${randomUUID()}`;
  const clients: MongoClient[] = [];
  function client(): MongoClient {
    const made = createMongoClient(engine.url, IMPATIENT);
    clients.push(made);
    return made;
  }
  const db = client().db(database);
  async function close(): Promise<void> {
    if (engine.isShared) await db.dropDatabase();
    await Promise.all(clients.map((one) => one.close()));
    await engine.close();
  }
  try {
    await migrateMongo(db);
  } catch (error) {
    await close();
    throw error;
  }
  return { database, db, client, close };
}
