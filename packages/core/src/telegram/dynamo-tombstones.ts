import { type DynamoDBDocumentClient, GetCommand, PutCommand } from "@aws-sdk/lib-dynamodb";
import { TOMBSTONE_KEPT_S, type Tombstones, tombstoneId } from "./tombstones.ts";

/** `Tombstones` in the conversations' table: pk `FORGOTTEN#{digest}`, sk `FORGOTTEN`, removed by the table's TTL. */
export class DynamoTombstones implements Tombstones {
  readonly #client: Pick<DynamoDBDocumentClient, "send">;
  readonly #table: string;

  constructor(options: { client: Pick<DynamoDBDocumentClient, "send">; table: string }) {
    this.#client = options.client;
    this.#table = options.table;
  }

  async set(platform: string, userId: string, at: number): Promise<void> {
    const Item = { ...keyOf(platform, userId), at, expires_at: Math.ceil(at / 1000) + TOMBSTONE_KEPT_S };
    await this.#client.send(new PutCommand({ TableName: this.#table, Item }));
  }

  async get(platform: string, userId: string): Promise<number | undefined> {
    const Key = keyOf(platform, userId);
    const { Item } = await this.#client.send(
      new GetCommand({ TableName: this.#table, Key, ConsistentRead: true }),
    );
    return Item?.["at"] as number | undefined;
  }
}

const keyOf = (platform: string, userId: string) => ({
  pk: `FORGOTTEN#${tombstoneId(platform, userId)}`,
  sk: "FORGOTTEN",
});
