import { DeleteCommand, type DynamoDBDocumentClient, GetCommand, PutCommand } from "@aws-sdk/lib-dynamodb";
import type { PromptStore } from "./prompt-store.ts";

const Key = { pk: "PROMPTS", sk: "PROMPTS" };

/** `PromptStore` in the conversations' table, which the functions that answer may read anyway. */
export class DynamoPromptStore implements PromptStore {
  readonly #client: Pick<DynamoDBDocumentClient, "send">;
  readonly #table: string;

  constructor(options: { client: Pick<DynamoDBDocumentClient, "send">; table: string }) {
    this.#client = options.client;
    this.#table = options.table;
  }

  async read(signal?: AbortSignal): Promise<string | undefined> {
    const { Item } = await this.#client.send(
      new GetCommand({ TableName: this.#table, Key }),
      signal ? { abortSignal: signal } : {},
    );
    const json: unknown = Item?.["json"];
    // Of another type, somebody has put it there by hand: broken, and not absent.
    return typeof json === "string" ? json : Item && "";
  }

  async write(json: string): Promise<void> {
    await this.#client.send(new PutCommand({ TableName: this.#table, Item: { ...Key, json } }));
  }

  async reset(): Promise<void> {
    await this.#client.send(new DeleteCommand({ TableName: this.#table, Key }));
  }
}
