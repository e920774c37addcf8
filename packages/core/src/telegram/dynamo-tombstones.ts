import type { DynamoDBDocumentClient } from "@aws-sdk/lib-dynamodb";
import { TableClient } from "../conversation/table-client.ts";
import { TOMBSTONE_KEPT_S, type Tombstones, tombstoneId } from "./tombstones.ts";

/** `Tombstones` in the conversations' table: pk `FORGOTTEN#{digest}`, sk `FORGOTTEN`, removed by the table's TTL. */
export class DynamoTombstones implements Tombstones {
  readonly #table: TableClient;

  constructor(options: { client: Pick<DynamoDBDocumentClient, "send">; table: string }) {
    this.#table = new TableClient(options);
  }

  async set(platform: string, userId: string, at: number): Promise<void> {
    const expires_at = Math.ceil(at / 1000) + TOMBSTONE_KEPT_S;
    await this.#table.put({ ...keyOf(platform, userId), at, expires_at });
  }

  async get(platform: string, userId: string): Promise<number | undefined> {
    const item = await this.#table.get(keyOf(platform, userId));
    return item?.["at"] as number | undefined;
  }
}

const keyOf = (platform: string, userId: string) => ({
  pk: `FORGOTTEN#${tombstoneId(platform, userId)}`,
  sk: "FORGOTTEN",
});
