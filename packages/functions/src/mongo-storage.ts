import { systemClock as clock } from "@parley/core/clock";
import { createMongoClient } from "@parley/core/conversation/mongo-client";
import { MongoStore } from "@parley/core/conversation/mongo-store";
import { MongoOutbox } from "@parley/core/telegram/mongo-outbox";
import type { Storage } from "./storage.ts";

export function openMongoStorage({ uri, database }: { uri: string; database: string }): Storage {
  const client = createMongoClient(uri);
  return {
    store: new MongoStore({ client, database }),
    outbox: new MongoOutbox({ client, database, clock }),
  };
}
