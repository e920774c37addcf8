import type { PromptStore } from "@parley/core/assistant/prompt-store";
import type { StoreSettings } from "@parley/core/config";
import type { ConversationStore } from "@parley/core/conversation/conversation-store";
import type { Retention } from "@parley/core/conversation/retention";
import type { Outbox } from "@parley/core/telegram/outbox";
import type { Tombstones } from "@parley/core/telegram/tombstones";
import { openDynamoStorage } from "./dynamo-storage.ts";
import { environment } from "./environment.ts";

/** What is kept, in one place. What not every function needs is loaded where it is used. */
export type Storage = {
  store: ConversationStore;
  outbox: () => Promise<Outbox>;
  tombstones: () => Promise<Tombstones>;
  prompts: () => Promise<PromptStore>;
};

/** MongoDB's driver is as heavy as everything else together: loaded only where it is asked for. */
const mongo = environment["STORE"] === "mongodb" ? await import("./mongo-storage.ts") : undefined;

/** One client a container; it connects at the first request. A deployment has the code of its own store alone. */
export function openStorage(settings: StoreSettings, retention: Retention): Storage {
  if (settings.kind === "dynamodb") return openDynamoStorage(settings, retention);
  if (!mongo) throw new Error("STORE was not mongodb when this instance started");
  return mongo.openMongoStorage(settings, retention);
}
