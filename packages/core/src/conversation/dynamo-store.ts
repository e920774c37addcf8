import type { DynamoDBDocumentClient } from "@aws-sdk/lib-dynamodb";
import type { Summary } from "../assistant/context-window.ts";
import { AppError } from "../error.ts";
import type { BeginTurn, Begun, ConversationStore, Erased, Page, PageRequest } from "./conversation-store.ts";
import { beginItems, newestTurnCount } from "./dynamo-begin.ts";
import { eraseConversation } from "./dynamo-erase.ts";
import * as items from "./dynamo-items.ts";
import { DynamoSessions } from "./dynamo-sessions.ts";
import { OWNER_INDEX } from "./dynamo-table.ts";
import { openTurn } from "./open-turn.ts";
import { decodeToken, listPage, listPosition } from "./page-token.ts";
import { forEver, type Retention } from "./retention.ts";
import { wait } from "./rivals.ts";
import { TableClient } from "./table-client.ts";
import type { Conversation, Lease, Reply, SessionMetadata, Turn } from "./types.ts";

/** Turns read at once when those before them are over, and only not removed yet. */
const SKIPPED_AT_ONCE = 100;

/** `ConversationStore` on one DynamoDB table; see dynamo-table.ts for its items. */
export class DynamoStore implements ConversationStore {
  readonly #table: TableClient;
  readonly #retention: Retention;
  readonly #sessions: DynamoSessions;

  /** @param options `retention` absent: everything is kept for ever */
  constructor(options: {
    client: Pick<DynamoDBDocumentClient, "send">;
    table: string;
    retention?: Retention;
  }) {
    this.#table = new TableClient(options);
    this.#retention = options.retention ?? forEver;
    this.#sessions = new DynamoSessions(this.#table, this.#retention);
  }

  async load(id: string, turns: number, signal?: AbortSignal) {
    const { found } = await this.#table.query(items.newest(id, turns + 1), signal);
    const [head, ...newest] = found;
    // Turns without a head: the conversation is being erased.
    if (!head || !items.isHead(head, this.#retention.since)) return undefined;
    return { conversation: items.toConversation(head), turns: this.#kept(newest).reverse() };
  }

  async turnsBefore(id: string, seq: number, limit: number, signal?: AbortSignal): Promise<Turn[]> {
    if (seq <= 1) return [];
    const { found } = await this.#table.query(items.newest(id, limit, seq - 1), signal);
    return this.#kept(found).reverse();
  }

  /**
   * One TransactWriteItems. Rivals for the same head are told its newest turn count by the failed condition itself, so
   * a lost race costs one more request and no read:
   *
   *   A: begin(seq 5) ok      B: begin(seq 5) -> head says 5 -> begin(seq 6) ok
   */
  async begin(turn: BeginTurn): Promise<Begun> {
    let turnCount = turn.turnCount;
    for (let lost = 0; ; lost++) {
      const seq = turnCount + 1;
      const reasons = await this.#table.transact(
        beginItems(this.#table.name, turn, seq, this.#retention),
        turn.signal,
      );
      if (!reasons) return { outcome: "begun", turn: openTurn(turn, seq) };
      const [known, head, , session] = reasons;
      if (known?.item) {
        const { conversation_id, seq } = known.item as { conversation_id: string; seq: number };
        const before = await this.turn(conversation_id, seq);
        if (!before) throw new AppError("not_found", "The conversation of this message is gone.");
        // Our own, stored by an attempt whose answer was lost.
        if (before.lease?.holder === turn.lease.holder) return { outcome: "begun", turn: before };
        return { outcome: "known", turn: before };
      }
      if (session?.item)
        return { outcome: "moved", conversationId: session.item["conversation_id"] as string };
      if (head?.failed) turnCount = newestTurnCount(turn, head.item, this.#retention.since);
      await wait(lost, turn.signal);
    }
  }

  async claim(turn: Turn, lease: Lease, now: number, signal?: AbortSignal): Promise<Turn | undefined> {
    if (turn.createdAt < this.#retention.since) return undefined;
    const change = {
      UpdateExpression: "SET lease = :lease",
      // By the same holder: the answer to its first attempt was lost.
      ConditionExpression:
        "attribute_exists(pk) AND attribute_not_exists(reply) AND (attribute_not_exists(lease) OR lease.#until <= :now OR lease.holder = :holder)",
      ExpressionAttributeNames: { "#until": "until" },
      ExpressionAttributeValues: { ":lease": lease, ":now": now, ":holder": lease.holder },
    };
    const claimed = await this.#table.updated(items.turnKey(turn.conversationId, turn.seq), change, signal);
    return claimed && items.toTurn(claimed);
  }

  async complete(turn: Turn, holder: string, reply: Reply, title?: string): Promise<boolean> {
    if (turn.createdAt < this.#retention.since) return false;
    const held = {
      UpdateExpression: "SET reply = :reply REMOVE lease",
      // The same reply again: the answer to the first attempt was lost.
      ConditionExpression:
        "(lease.holder = :holder AND attribute_not_exists(reply)) OR reply.messageId = :message_id",
      ExpressionAttributeValues: { ":reply": reply, ":holder": holder, ":message_id": reply.messageId },
    };
    const Key = items.turnKey(turn.conversationId, turn.seq);
    if (title === undefined) return this.#table.update(Key, held);
    const titled = {
      Key: items.headKey(turn.conversationId),
      UpdateExpression: "SET title = if_not_exists(title, :title)",
      ConditionExpression: "attribute_exists(pk)",
      ExpressionAttributeValues: { ":title": title },
    };
    const TableName = this.#table.name;
    return this.#table.transactUntilDone([
      { Update: { TableName, Key, ...held } },
      { Update: { TableName, ...titled } },
    ]);
  }

  async release(turn: Turn, holder: string): Promise<void> {
    await this.#table.update(items.turnKey(turn.conversationId, turn.seq), {
      UpdateExpression: "REMOVE lease",
      ConditionExpression: "lease.holder = :holder",
      ExpressionAttributeValues: { ":holder": holder },
    });
  }

  async summarise(conversationId: string, summary: Summary, signal?: AbortSignal): Promise<boolean> {
    const change = {
      UpdateExpression: "SET summary = :summary",
      // The same text again: the answer to the first attempt was lost.
      ConditionExpression:
        "attribute_exists(pk) AND attribute_not_exists(erasing) AND (attribute_not_exists(summary) OR summary.upToSeq < :seq OR (summary.upToSeq = :seq AND summary.#text = :text))",
      ExpressionAttributeNames: { "#text": "text" },
      ExpressionAttributeValues: { ":summary": summary, ":seq": summary.upToSeq, ":text": summary.text },
    };
    return this.#table.update(items.headKey(conversationId), change, signal);
  }

  async turn(conversationId: string, seq: number): Promise<Turn | undefined> {
    const item = await this.#table.get(items.turnKey(conversationId, seq));
    return item && this.#kept([item])[0];
  }

  sessionConversation(owner: string, session: SessionMetadata, activeSince: number, signal?: AbortSignal) {
    return this.#sessions.conversation(owner, session, activeSince, signal);
  }

  leaveSession(owner: string, session: SessionMetadata, now: number): Promise<void> {
    return this.#sessions.leave(owner, session, now);
  }

  moveSession(owner: string, from: SessionMetadata, to: SessionMetadata): Promise<void> {
    return this.#sessions.move(owner, from, to);
  }

  async list(owner: string, { size, token }: PageRequest): Promise<Page<Conversation>> {
    const after = token === undefined ? undefined : decodeToken(token, listPosition);
    const { since } = this.#retention;
    // DynamoDB refuses to start where the condition does not hold; nothing comes after that.
    if (after && after.at < since) return { items: [], nextToken: undefined };
    const { found, more } = await this.#table.query({
      IndexName: OWNER_INDEX,
      KeyConditionExpression: "#owner = :owner AND #last_activity >= :since",
      ...items.listed,
      ExpressionAttributeValues: { ":owner": owner, ":since": since },
      ScanIndexForward: false,
      Limit: size,
      // The owner is the caller's own, whatever the token says.
      ExclusiveStartKey: after && { ...items.headKey(after.id), owner, last_activity: after.at },
    });
    return listPage(found.map(items.toConversation), more);
  }

  /** One request, unless turns are over that the table has not removed yet: they come first and are passed over. */
  async turnsAfter(conversationId: string, seq: number, limit: number, signal?: AbortSignal) {
    const turns: Turn[] = [];
    for (let from = seq, atOnce = limit + 1; ; atOnce = Math.max(limit + 1, SKIPPED_AT_ONCE)) {
      const { found, more } = await this.#table.query(items.turnsAfter(conversationId, from, atOnce), signal);
      const kept = this.#kept(found);
      turns.push(...kept);
      if (!more || turns.length > limit || kept.length === found.length) {
        return { turns: turns.slice(0, limit), more: more || turns.length > limit };
      }
      from = found.at(-1)?.["seq"] as number;
    }
  }

  erase(owner: string, id: string, signal?: AbortSignal): Promise<Erased | undefined> {
    return eraseConversation(this.#table, owner, id, signal);
  }

  async ping(signal?: AbortSignal): Promise<void> {
    await this.#table.get({ pk: "PING", sk: "PING" }, signal);
  }

  /** Turns that are not over. */
  #kept(found: items.Item[]): Turn[] {
    const { since } = this.#retention;
    return found.map(items.toTurn).filter(({ createdAt }) => createdAt >= since);
  }
}
