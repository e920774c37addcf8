import { originals, standIns } from "../support/stores.ts";
import { conversationStoreContract } from "./conversation-store.ts";
import { outboxContract } from "./outbox.ts";
import { promptsContract } from "./prompts.ts";
import { userRowsContract } from "./user-rows.ts";

const contracts = [conversationStoreContract, outboxContract, promptsContract, userRowsContract];

for (const { name, open, problem } of originals) {
  if (problem) process.stdout.write(`the stores' contracts were not run on ${name}: ${problem}\n`);
  else for (const contract of contracts) contract(name, open);
}

for (const { name, open } of standIns) userRowsContract(name, open);
