import { MongoClient, type MongoClientOptions } from "mongodb";
import { AppError } from "../error.ts";

/**
 * A client for the store, one a container. It connects at the first operation and repeats once what may be repeated, unless
 * the URI says otherwise. A function answers one request at a time: few connections, none kept for nothing.
 * @throws AppError failed_precondition when `uri` is no connection string; it holds a password, so no error shows it
 */
export function createMongoClient(uri: string, options: MongoClientOptions = {}): MongoClient {
  const own: MongoClientOptions = {
    appName: "parley",
    maxPoolSize: 5,
    minPoolSize: 0,
    maxIdleTimeMS: 60_000,
    serverSelectionTimeoutMS: 2_500,
    connectTimeoutMS: 2_000,
    // The driver's own limit for a whole operation, `timeoutMS`, does nothing as of 7.9.
    socketTimeoutMS: 3_000,
    waitQueueTimeoutMS: 3_000,
    readPreference: "primary",
    writeConcern: { w: "majority" },
    ignoreUndefined: true,
  };
  try {
    return new MongoClient(uri, { ...own, ...options });
  } catch {
    throw new AppError(
      "failed_precondition",
      "Wrong settings: MONGODB_URI: is not a MongoDB connection string. See .env.example.",
    );
  }
}
