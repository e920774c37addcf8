import { systemClock as clock } from "@parley/core/clock";
import { createDynamoClient } from "@parley/core/conversation/dynamo-client";
import { DynamoStore } from "@parley/core/conversation/dynamo-store";
import type { Retention } from "@parley/core/conversation/retention";
import type { Storage } from "./storage.ts";

export function openDynamoStorage({ table }: { table: string }, retention: Retention): Storage {
  const client = createDynamoClient();
  return {
    store: new DynamoStore({ client, table, retention }),
    async outbox() {
      const { DynamoOutbox } = await import("@parley/core/telegram/dynamo-outbox");
      return new DynamoOutbox({ client, table, clock });
    },
    async tombstones() {
      const { DynamoTombstones } = await import("@parley/core/telegram/dynamo-tombstones");
      return new DynamoTombstones({ client, table });
    },
    async prompts() {
      const { DynamoPromptStore } = await import("@parley/core/assistant/dynamo-prompt-store");
      return new DynamoPromptStore({ client, table });
    },
  };
}
