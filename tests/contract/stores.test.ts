import { standIns } from "../support/stores.ts";
import { conversationStoreContract } from "./conversation-store.ts";
import { outboxContract } from "./outbox.ts";
import { promptsContract } from "./prompts.ts";

for (const { name, open } of standIns) {
  conversationStoreContract(name, open);
  outboxContract(name, open);
  promptsContract(name, open);
}
