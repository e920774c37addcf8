import type { Collection, MongoClient } from "mongodb";
import type { Clock } from "../clock.ts";
import { MongoDatabase, unlessDuplicate } from "../conversation/mongo-database.ts";
import { OUTBOX_KEPT_S, type Outbox, type OutboxEntry, type PartState } from "./outbox.ts";

type OutboxDocument = { _id: string; entry: OutboxEntry; expires_at: Date };

/**
 * `Outbox` in a collection beside the conversations', removed by its TTL index. The driver repeats a write whose answer
 * was lost under the same number, and MongoDB then gives the first one's answer.
 */
export class MongoOutbox implements Outbox {
  readonly #db: MongoDatabase;
  readonly #entries: Collection<OutboxDocument>;
  readonly #clock: Clock;

  constructor({ clock, ...options }: { client: MongoClient; database: string; clock: Clock }) {
    this.#db = new MongoDatabase(options);
    this.#entries = this.#db.db.collection("outbox");
    this.#clock = clock;
  }

  async get(id: string): Promise<OutboxEntry | undefined> {
    const found = await this.#db.run(() => this.#entries.findOne({ _id: id }));
    return found?.entry;
  }

  async open(entry: OutboxEntry) {
    const [first, ...rest] = entry.parts;
    const parts = first ? [{ ...first, state: "sending" as const }, ...rest] : [];
    const stored = { ...entry, parts };
    const expires_at = new Date(this.#clock.now() + OUTBOX_KEPT_S * 1_000);
    const created = await this.#db.run(() =>
      unlessDuplicate(this.#entries.insertOne({ _id: entry.id, entry: stored, expires_at })),
    );
    if (created) return { entry: stored, created: true };
    const standing = await this.get(entry.id);
    if (!standing) throw new Error(`the outbox entry ${entry.id} came and went`);
    return { entry: standing, created: false };
  }

  take(id: string, index: number): Promise<boolean> {
    return this.#move(id, index, "pending", "sending", false);
  }

  settle(id: string, index: number, state: PartState, next: boolean): Promise<boolean> {
    return this.#move(id, index, "sending", state, next);
  }

  async #move(id: string, index: number, from: PartState, to: PartState, next: boolean): Promise<boolean> {
    const part = `entry.parts.${index}.state`;
    const following = `entry.parts.${index + 1}.state`;
    const fits = { _id: id, [part]: from, ...(next && { [following]: "pending" }) };
    const change = { [part]: to, ...(next && { [following]: "sending" }) };
    const { matchedCount } = await this.#db.run(() => this.#entries.updateOne(fits, { $set: change }));
    return matchedCount === 1;
  }
}
