import { systemClock as clock } from "@parley/core/clock";
import { createMongoClient } from "@parley/core/conversation/mongo-client";
import { MongoStore } from "@parley/core/conversation/mongo-store";
import type { Retention } from "@parley/core/conversation/retention";
import type { Storage } from "./storage.ts";

export function openMongoStorage(
  { uri, database }: { uri: string; database: string },
  retention: Retention,
): Storage {
  const client = createMongoClient(uri);
  return {
    store: new MongoStore({ client, database, retention }),
    async outbox() {
      const { MongoOutbox } = await import("@parley/core/telegram/mongo-outbox");
      return new MongoOutbox({ client, database, clock });
    },
    async tombstones() {
      const { MongoTombstones } = await import("@parley/core/telegram/mongo-tombstones");
      return new MongoTombstones({ client, database });
    },
    async prompts() {
      const { MongoPromptStore } = await import("@parley/core/assistant/mongo-prompt-store");
      return new MongoPromptStore({ client, database });
    },
  };
}
