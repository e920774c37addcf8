import type { Collection, MongoClient } from "mongodb";
import { MongoDatabase } from "../conversation/mongo-database.ts";
import type { PromptStore } from "./prompt-store.ts";

const _id = "prompts";

/** `PromptStore` in a collection of one document beside the conversations'. */
export class MongoPromptStore implements PromptStore {
  readonly #db: MongoDatabase;
  readonly #prompts: Collection<{ _id: string; json: unknown }>;

  constructor(options: { client: MongoClient; database: string }) {
    this.#db = new MongoDatabase(options);
    this.#prompts = this.#db.db.collection("prompts");
  }

  async read(signal?: AbortSignal): Promise<string | undefined> {
    const found = await this.#db.run(() => this.#prompts.findOne({ _id }), signal);
    if (!found) return undefined;
    // Of another type, somebody has put it there by hand: broken, and not absent.
    return typeof found.json === "string" ? found.json : "";
  }

  async write(json: string): Promise<void> {
    await this.#db.run(() => this.#prompts.updateOne({ _id }, { $set: { json } }, { upsert: true }));
  }

  async reset(): Promise<void> {
    await this.#db.run(() => this.#prompts.deleteOne({ _id }));
  }
}
