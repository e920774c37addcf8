import type { Collection, MongoClient } from "mongodb";
import { MongoDatabase } from "../conversation/mongo-database.ts";
import { TOMBSTONE_KEPT_S, type Tombstones, tombstoneId } from "./tombstones.ts";

type TombstoneDocument = { _id: string; at: number; expires_at: Date };

/** `Tombstones` in a collection beside the conversations', removed by its TTL index. */
export class MongoTombstones implements Tombstones {
  readonly #db: MongoDatabase;
  readonly #tombstones: Collection<TombstoneDocument>;

  constructor(options: { client: MongoClient; database: string }) {
    this.#db = new MongoDatabase(options);
    this.#tombstones = this.#db.db.collection("forgotten");
  }

  async set(platform: string, userId: string, at: number): Promise<void> {
    const $set = { at, expires_at: new Date(at + TOMBSTONE_KEPT_S * 1_000) };
    const _id = tombstoneId(platform, userId);
    await this.#db.run(() => this.#tombstones.updateOne({ _id }, { $set }, { upsert: true }));
  }

  async get(platform: string, userId: string): Promise<number | undefined> {
    const _id = tombstoneId(platform, userId);
    return (await this.#db.run(() => this.#tombstones.findOne({ _id })))?.at;
  }
}
