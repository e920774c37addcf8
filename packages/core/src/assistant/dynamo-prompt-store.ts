import type { DynamoDBDocumentClient } from "@aws-sdk/lib-dynamodb";
import { TableClient } from "../conversation/table-client.ts";
import type { PromptStore } from "./prompt-store.ts";

const Key = { pk: "PROMPTS", sk: "PROMPTS" };

/** `PromptStore` in the conversations' table, which the functions that answer may read anyway. */
export class DynamoPromptStore implements PromptStore {
  readonly #table: TableClient;

  constructor(options: { client: Pick<DynamoDBDocumentClient, "send">; table: string }) {
    this.#table = new TableClient(options);
  }

  async read(signal?: AbortSignal): Promise<string | undefined> {
    const item = await this.#table.get(Key, signal);
    const json: unknown = item?.["json"];
    // Of another type, somebody has put it there by hand: broken, and not absent.
    return typeof json === "string" ? json : item && "";
  }

  async write(json: string): Promise<void> {
    await this.#table.put({ ...Key, json });
  }

  async reset(): Promise<void> {
    await this.#table.transactUntilDone([this.#table.delete(Key)]);
  }
}
