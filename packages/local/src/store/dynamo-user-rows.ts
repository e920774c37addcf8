import {
  DeleteCommand,
  type DynamoDBDocumentClient,
  GetCommand,
  ScanCommand,
  type ScanCommandOutput,
  UpdateCommand,
} from "@aws-sdk/lib-dynamodb";
import type { Erased } from "@parley/core/conversation/conversation-store";
import * as items from "@parley/core/conversation/dynamo-items";
import { DynamoStore } from "@parley/core/conversation/dynamo-store";
import * as z from "@parley/core/schema";
import { privateChat, type RowPage, type User, type UserRow, type UserRows } from "./user-rows.ts";

/** A position is the key of the last row that was looked at. */
const position = z.object({ pk: z.string(), sk: z.string() });

/** A scan of the whole table: no index leads from a user to their rows, and nobody waits for one but an operator. */
export class DynamoUserRows implements UserRows {
  readonly #client: DynamoDBDocumentClient;
  readonly #table: string;
  readonly #store: DynamoStore;

  constructor(options: { client: DynamoDBDocumentClient; table: string }) {
    this.#client = options.client;
    this.#table = options.table;
    this.#store = new DynamoStore(options);
  }

  async *pages(user: User, from?: string): AsyncIterable<RowPage> {
    let start: Record<string, unknown> | undefined = from === undefined ? undefined : decode(from);
    do {
      const { Items, ScannedCount, LastEvaluatedKey }: ScanCommandOutput = await this.#client.send(
        new ScanCommand({
          TableName: this.#table,
          ConsistentRead: true,
          ExclusiveStartKey: start,
          FilterExpression:
            "(#session.platform = :platform AND #session.userId = :user) OR (platform = :platform AND user_id = :user)" +
            " OR (sk = :session AND user_id = :user) OR (sk = :outbox AND (entry.userId = :user OR entry.place.chat = :chat))",
          ExpressionAttributeNames: { "#session": "session" },
          ExpressionAttributeValues: {
            ":platform": user.platform,
            ":user": user.userId,
            ":session": "SESSION",
            // Answers go to Telegram alone.
            ":outbox": user.platform === "telegram" ? "OUTBOX" : "none",
            ":chat": privateChat(user) ?? "none",
          },
        }),
      );
      start = LastEvaluatedKey;
      yield {
        rows: (Items ?? []).flatMap((item) => rowOf(item, user)),
        looked: ScannedCount ?? 0,
        position: start && encode(start),
      };
    } while (start);
  }

  eraseConversation(owner: string, id: string): Promise<Erased | undefined> {
    return this.#store.erase(owner, id);
  }

  async erase(row: Exclude<UserRow, { kind: "conversation" }>): Promise<boolean> {
    if (row.kind === "chat") return this.#delete(items.sessionKey(row.owner, row.session));
    if (row.kind === "answer") return this.#delete({ pk: row.id, sk: "OUTBOX" });
    const Key = items.headKey(row.conversationId);
    const { Item: head } = await this.#client.send(
      new GetCommand({ TableName: this.#table, Key, ConsistentRead: true }),
    );
    // Without a head it is a rest of what is over, and its turn id goes when it does, by itself.
    if (head) {
      await this.#dropSummary(row.conversationId, row.seq);
      await this.#delete(items.turnIdKey(head["owner"] as string, row.turnId));
    }
    return this.#delete(items.turnKey(row.conversationId, row.seq));
  }

  /** One that tells of this turn; the next that is needed is made without it. */
  async #dropSummary(id: string, seq: number): Promise<void> {
    const command = new UpdateCommand({
      TableName: this.#table,
      Key: items.headKey(id),
      UpdateExpression: "REMOVE summary",
      ConditionExpression: "summary.upToSeq >= :seq",
      ExpressionAttributeValues: { ":seq": seq },
    });
    await this.#client.send(command).catch((error: unknown) => {
      if (!(error instanceof Error) || error.name !== "ConditionalCheckFailedException") throw error;
    });
  }

  async #delete(Key: { pk: string; sk: string }): Promise<boolean> {
    const { Attributes } = await this.#client.send(
      new DeleteCommand({ TableName: this.#table, Key, ReturnValues: "ALL_OLD" }),
    );
    return Attributes !== undefined;
  }
}

function rowOf(item: items.Item, { platform }: User): UserRow[] {
  const pk = item["pk"] as string;
  const sk = item["sk"] as string;
  if (sk === "OUTBOX") return [{ kind: "answer", id: pk }];
  if (sk === "SESSION") {
    const [owner = "", of, chatId = ""] = pk.split("#").slice(1).map(decodeURIComponent);
    const session = { platform, userId: item["user_id"] as string, chatId };
    return of === platform ? [{ kind: "chat", owner, session }] : [];
  }
  if (sk === items.headKey("").sk) {
    const { id, owner } = items.toConversation(item);
    return [{ kind: "conversation", owner, id, chats: items.chatsOf(item) }];
  }
  const { conversationId, seq, turnId, message: text } = items.toTurn(item);
  return [{ kind: "message", conversationId, seq, turnId, text }];
}

const encode = (key: Record<string, unknown>) => Buffer.from(JSON.stringify(key)).toString("base64url");

function decode(text: string) {
  try {
    return position.parse(JSON.parse(Buffer.from(text, "base64url").toString("utf8")));
  } catch {
    throw new Error("--from is not a position that this command gave");
  }
}
