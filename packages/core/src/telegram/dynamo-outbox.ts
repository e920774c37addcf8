import type { DynamoDBDocumentClient } from "@aws-sdk/lib-dynamodb";
import type { Clock } from "../clock.ts";
import { TableClient } from "../conversation/table-client.ts";
import { newHolderId } from "../id.ts";
import { OUTBOX_KEPT_S, type Outbox, type OutboxEntry, type PartState } from "./outbox.ts";

/**
 * `Outbox` in the conversations' table: pk `OUTBOX#{id}`, sk `OUTBOX`, removed by the table's TTL.
 *
 * Every write leaves its name in `last_write`. The SDK repeats a write whose answer was lost, and that meets its own
 * change: by the name it is told that it was done, unless somebody else has written since.
 */
export class DynamoOutbox implements Outbox {
  readonly #table: TableClient;
  readonly #clock: Clock;

  constructor(options: { client: Pick<DynamoDBDocumentClient, "send">; table: string; clock: Clock }) {
    this.#table = new TableClient(options);
    this.#clock = options.clock;
  }

  async get(id: string): Promise<OutboxEntry | undefined> {
    const item = await this.#table.get(keyOf(id));
    return item?.["entry"] as OutboxEntry | undefined;
  }

  async open(entry: OutboxEntry) {
    const [first, ...rest] = entry.parts;
    const parts = first ? [{ ...first, state: "sending" as const }, ...rest] : [];
    const stored = { ...entry, parts };
    const write = newHolderId();
    const expires_at = Math.floor(this.#clock.now() / 1000) + OUTBOX_KEPT_S;
    const created = await this.#table.put(
      { ...keyOf(entry.id), entry: stored, last_write: write, expires_at },
      {
        ConditionExpression: "attribute_not_exists(pk) OR last_write = :write",
        ExpressionAttributeValues: { ":write": write },
      },
    );
    if (created) return { entry: stored, created };
    const standing = await this.get(entry.id);
    if (!standing) throw new Error(`the outbox entry ${entry.id} came and went`);
    return { entry: standing, created };
  }

  take(id: string, index: number): Promise<boolean> {
    return this.#move(id, index, "pending", "sending", false);
  }

  settle(id: string, index: number, state: PartState, next: boolean): Promise<boolean> {
    return this.#move(id, index, "sending", state, next);
  }

  #move(id: string, index: number, from: PartState, to: PartState, next: boolean): Promise<boolean> {
    const part = `entry.parts[${index}].#state`;
    const following = `entry.parts[${index + 1}].#state`;
    const fits = `${part} = :from${next ? ` AND ${following} = :pending` : ""}`;
    return this.#table.update(keyOf(id), {
      UpdateExpression: `SET last_write = :write, ${part} = :to${next ? `, ${following} = :sending` : ""}`,
      ConditionExpression: `(${fits}) OR last_write = :write`,
      ExpressionAttributeNames: { "#state": "state" },
      ExpressionAttributeValues: {
        ":write": newHolderId(),
        ":from": from,
        ":to": to,
        ...(next ? { ":sending": "sending", ":pending": "pending" } : {}),
      },
    });
  }
}

const keyOf = (id: string) => ({ pk: `OUTBOX#${encodeURIComponent(id)}`, sk: "OUTBOX" });
