import { newConversationId } from "../id.ts";
import { expiry, headKey, sessionKey } from "./dynamo-items.ts";
import type { Retention } from "./retention.ts";
import type { TableClient } from "./table-client.ts";
import type { SessionMetadata } from "./types.ts";

/** Which conversation each chat is in, as `ConversationStore` has it; `begin` writes it too. */
export class DynamoSessions {
  readonly #table: TableClient;
  readonly #retention: Retention;

  constructor(table: TableClient, retention: Retention) {
    this.#table = table;
    this.#retention = retention;
  }

  async conversation(owner: string, session: SessionMetadata, activeSince: number, signal?: AbortSignal) {
    const item = await this.#table.get(sessionKey(owner, session), signal);
    return item && (item["active_at"] as number) >= Math.max(activeSince, this.#retention.since)
      ? (item["conversation_id"] as string)
      : undefined;
  }

  async leave(owner: string, session: SessionMetadata, now: number): Promise<void> {
    await this.#table.put({
      ...sessionKey(owner, session),
      conversation_id: newConversationId(now),
      user_id: session.userId,
      active_at: now,
      ...expiry(this.#retention, now),
    });
  }

  async move(owner: string, from: SessionMetadata, to: SessionMetadata): Promise<void> {
    const item = await this.#table.get(sessionKey(owner, from));
    const { since } = this.#retention;
    if (!item || (item["active_at"] as number) < since) return;
    // Before the chat is there, so that whoever erases the conversation finds it.
    await this.#table.update(headKey(item["conversation_id"] as string), {
      UpdateExpression: "ADD moved_to :chats",
      ConditionExpression: "#owner = :owner",
      ExpressionAttributeNames: { "#owner": "owner" },
      ExpressionAttributeValues: { ":chats": new Set([to.chatId]), ":owner": owner },
    });
    await this.#table.put(
      { ...item, ...sessionKey(owner, to) },
      {
        ConditionExpression: "attribute_not_exists(pk) OR active_at < :since",
        ExpressionAttributeValues: { ":since": since },
      },
    );
  }
}
