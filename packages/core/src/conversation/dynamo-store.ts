import { setTimeout } from "node:timers/promises";
import { TransactionCanceledException } from "@aws-sdk/client-dynamodb";
import {
  type DynamoDBDocumentClient,
  GetCommand,
  QueryCommand,
  TransactWriteCommand,
  type TransactWriteCommandInput,
  UpdateCommand,
} from "@aws-sdk/lib-dynamodb";
import { unmarshall } from "@aws-sdk/util-dynamodb";
import * as z from "zod";
import { AppError } from "../error.ts";
import { isConversationId } from "../id.ts";
import { deadlineExceeded } from "../resilience/deadline.ts";
import type { BeginTurn, Begun, ConversationStore, Page, PageRequest } from "./conversation-store.ts";
import * as items from "./dynamo-items.ts";
import { OWNER_INDEX } from "./dynamo-table.ts";
import { decodeToken, encodeToken } from "./page-token.ts";
import type { Conversation, Lease, Reply, SessionMetadata, Turn } from "./types.ts";

type TransactItem = NonNullable<TransactWriteCommandInput["TransactItems"]>[number];

/** Rivals for one conversation wait at random up to this long, doubled at each loss and capped. */
const RIVAL_BACKOFF_MS = { base: 5, cap: 250 };
/** Far more than any number of real rivals: a store that refuses for so long is not there. */
const MAX_LOST = 100;

const listPosition = z.object({ id: z.string().refine(isConversationId), at: z.int().min(0) });

/** Turns removed in one transaction, each with its turn id; DynamoDB allows 100 items. */
const ERASED_AT_ONCE = 50;

/** `ConversationStore` on one DynamoDB table; see dynamo-table.ts for its items. */
export class DynamoStore implements ConversationStore {
  readonly #client: Pick<DynamoDBDocumentClient, "send">;
  readonly #table: string;

  constructor(options: { client: Pick<DynamoDBDocumentClient, "send">; table: string }) {
    this.#client = options.client;
    this.#table = options.table;
  }

  async load(id: string, turns: number, signal?: AbortSignal) {
    const { found } = await this.#query(id, { limit: turns + 1, signal });
    const [head, ...newest] = found;
    // Turns without a head: the conversation is being erased.
    if (!head || !items.isHead(head)) return undefined;
    return { conversation: items.toConversation(head), turns: newest.map(items.toTurn).reverse() };
  }

  async turnsBefore(id: string, seq: number, limit: number, signal?: AbortSignal): Promise<Turn[]> {
    if (seq <= 1) return [];
    const { found } = await this.#query(id, { limit, last: items.turnKey(id, seq - 1).sk, signal });
    return found.map(items.toTurn).reverse();
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
      const reasons = await this.#transact(beginItems(this.#table, turn, seq), turn.signal);
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
      if (head?.failed) turnCount = newestTurnCount(turn, head.item);
      await wait(lost, turn.signal);
    }
  }

  async claim(turn: Turn, lease: Lease, now: number, signal?: AbortSignal): Promise<Turn | undefined> {
    const change = {
      UpdateExpression: "SET lease = :lease",
      // By the same holder: the answer to its first attempt was lost.
      ConditionExpression:
        "attribute_exists(pk) AND attribute_not_exists(reply) AND (attribute_not_exists(lease) OR lease.#until <= :now OR lease.holder = :holder)",
      ExpressionAttributeNames: { "#until": "until" },
      ExpressionAttributeValues: { ":lease": lease, ":now": now, ":holder": lease.holder },
    };
    const updated = await this.#update(items.turnKey(turn.conversationId, turn.seq), change, signal);
    return updated && items.toTurn(updated);
  }

  async complete(turn: Turn, holder: string, reply: Reply, title?: string): Promise<boolean> {
    const held = {
      UpdateExpression: "SET reply = :reply REMOVE lease",
      // The same reply again: the answer to the first attempt was lost.
      ConditionExpression:
        "(lease.holder = :holder AND attribute_not_exists(reply)) OR reply.messageId = :message_id",
      ExpressionAttributeValues: { ":reply": reply, ":holder": holder, ":message_id": reply.messageId },
    };
    if (title === undefined)
      return (await this.#update(items.turnKey(turn.conversationId, turn.seq), held)) !== undefined;
    for (let lost = 0; ; lost++) {
      const reasons = await this.#transact([
        { Update: { TableName: this.#table, Key: items.turnKey(turn.conversationId, turn.seq), ...held } },
        {
          Update: {
            TableName: this.#table,
            Key: items.headKey(turn.conversationId),
            UpdateExpression: "SET title = if_not_exists(title, :title)",
            ConditionExpression: "attribute_exists(pk)",
            ExpressionAttributeValues: { ":title": title },
          },
        },
      ]);
      if (!reasons) return true;
      if (reasons.some(({ failed }) => failed)) return false;
      await wait(lost);
    }
  }

  async release(turn: Turn, holder: string): Promise<void> {
    await this.#update(items.turnKey(turn.conversationId, turn.seq), {
      UpdateExpression: "REMOVE lease",
      ConditionExpression: "lease.holder = :holder",
      ExpressionAttributeValues: { ":holder": holder },
    });
  }

  async turn(conversationId: string, seq: number): Promise<Turn | undefined> {
    const item = await this.#get(items.turnKey(conversationId, seq));
    return item && items.toTurn(item);
  }

  async sessionConversation(
    owner: string,
    session: SessionMetadata,
    activeSince: number,
    signal?: AbortSignal,
  ) {
    const item = await this.#get(items.sessionKey(owner, session), signal);
    return item && (item["active_at"] as number) >= activeSince
      ? (item["conversation_id"] as string)
      : undefined;
  }

  async list(owner: string, { size, token }: PageRequest): Promise<Page<Conversation>> {
    const after = token === undefined ? undefined : decodeToken(token, listPosition);
    const { Items = [], LastEvaluatedKey } = await this.#run(() =>
      this.#client.send(
        new QueryCommand({
          TableName: this.#table,
          IndexName: OWNER_INDEX,
          KeyConditionExpression: "#owner = :owner",
          ExpressionAttributeNames: { "#owner": "owner" },
          ExpressionAttributeValues: { ":owner": owner },
          ScanIndexForward: false,
          Limit: size,
          // The owner is the caller's own, whatever the token says.
          ExclusiveStartKey: after && { ...items.headKey(after.id), owner, last_activity: after.at },
        }),
      ),
    );
    const page = Items.map(items.toConversation);
    const last = page.at(-1);
    return {
      items: page,
      nextToken: LastEvaluatedKey && last && encodeToken({ id: last.id, at: last.lastActivity }),
    };
  }

  async turnsAfter(conversationId: string, seq: number, limit: number, signal?: AbortSignal) {
    const { found, more } = await this.#query(conversationId, {
      limit: limit + 1,
      forward: true,
      first: items.turnKey(conversationId, seq + 1).sk,
      last: items.LAST_TURN,
      signal,
    });
    return { turns: found.slice(0, limit).map(items.toTurn), more: more || found.length > limit };
  }

  /**
   * The head first, marked: without its turn count no turn can begin, without its last activity it is in no list. Then
   * turns with their turn ids, then the chat's whereabouts, and the head last, so that a crash leaves something to find.
   */
  async erase(owner: string, id: string, signal?: AbortSignal): Promise<SessionMetadata | undefined | false> {
    const marked = await this.#update(
      items.headKey(id),
      {
        UpdateExpression: "SET erasing = :true REMOVE turn_count, last_activity",
        ConditionExpression: "#owner = :owner",
        ExpressionAttributeNames: { "#owner": "owner" },
        ExpressionAttributeValues: { ":owner": owner, ":true": true },
      },
      signal,
    );
    if (!marked) return false;
    for (let more = true; more; ) {
      const page = await this.turnsAfter(id, 0, ERASED_AT_ONCE, signal);
      const deletes = page.turns.flatMap((turn) => [
        this.#delete(items.turnIdKey(owner, turn.turnId)),
        this.#delete(items.turnKey(id, turn.seq)),
      ]);
      if (deletes.length > 0) await this.#transactUntilDone(deletes, signal);
      more = page.more;
    }
    const { session } = items.toConversation(marked);
    if (session) {
      // The chat may be in another conversation by now, or in none.
      const inThisOne = {
        ConditionExpression: "conversation_id = :id",
        ExpressionAttributeValues: { ":id": id },
      };
      await this.#transactUntilDone([this.#delete(items.sessionKey(owner, session), inThisOne)], signal);
    }
    await this.#transactUntilDone([this.#delete(items.headKey(id))], signal);
    return session;
  }

  async ping(signal?: AbortSignal): Promise<void> {
    await this.#get({ pk: "PING", sk: "PING" }, signal);
  }

  #delete(Key: items.Item, condition: Partial<NonNullable<TransactItem["Delete"]>> = {}): TransactItem {
    return { Delete: { TableName: this.#table, Key, ...condition } };
  }

  /** Done, or not to be done: a condition failed. */
  async #transactUntilDone(list: TransactItem[], signal?: AbortSignal): Promise<void> {
    for (let lost = 0; ; lost++) {
      const reasons = await this.#transact(list, signal);
      if (!reasons || reasons.some(({ failed }) => failed)) return;
      await wait(lost, signal);
    }
  }

  /**
   * Items of a conversation by sort key, newest first unless `forward`; the head comes first when `last` is absent.
   * DynamoDB answers with 1 MB at the most: there may be `more` even before the limit.
   */
  async #query(
    id: string,
    range: {
      limit: number;
      first?: string;
      last?: string;
      forward?: boolean;
      signal?: AbortSignal | undefined;
    },
  ): Promise<{ found: items.Item[]; more: boolean }> {
    const { first = items.FIRST_TURN, last = items.headKey(id).sk } = range;
    const { Items = [], LastEvaluatedKey } = await this.#run(() =>
      this.#client.send(
        new QueryCommand({
          TableName: this.#table,
          KeyConditionExpression: "pk = :pk AND sk BETWEEN :first AND :last",
          ExpressionAttributeValues: { ":pk": items.conversationPk(id), ":first": first, ":last": last },
          ScanIndexForward: range.forward ?? false,
          ConsistentRead: true,
          Limit: range.limit,
        }),
        until(range.signal),
      ),
    );
    return { found: Items, more: LastEvaluatedKey !== undefined };
  }

  async #get(Key: items.Item, signal?: AbortSignal): Promise<items.Item | undefined> {
    const command = new GetCommand({ TableName: this.#table, Key, ConsistentRead: true });
    const { Item } = await this.#run(() => this.#client.send(command, until(signal)));
    return Item;
  }

  /** The item after the update; undefined when the condition did not hold. */
  async #update(
    Key: items.Item,
    change: Pick<
      UpdateCommand["input"],
      "UpdateExpression" | "ConditionExpression" | "ExpressionAttributeNames" | "ExpressionAttributeValues"
    >,
    signal?: AbortSignal,
  ): Promise<items.Item | undefined> {
    const command = new UpdateCommand({
      TableName: this.#table,
      Key,
      ReturnValues: "ALL_NEW",
      ...change,
    });
    return this.#run(async () => {
      for (let lost = 0; ; lost++) {
        try {
          return (await this.#client.send(command, until(signal))).Attributes;
        } catch (error) {
          const name = error instanceof Error && error.name;
          if (name === "ConditionalCheckFailedException") return undefined;
          // A rival's begin looks at this turn; the SDK does not repeat that.
          if (name !== "TransactionConflictException") throw error;
        }
        await wait(lost, signal);
      }
    });
  }

  /**
   * Undefined when the transaction was done; otherwise one entry an item: whether its condition failed, and the item
   * as it stands. No entry failed: the transaction met another one, and may be tried again.
   */
  async #transact(TransactItems: TransactItem[], signal?: AbortSignal) {
    return this.#run(async () => {
      try {
        await this.#client.send(new TransactWriteCommand({ TransactItems }), until(signal));
        return undefined;
      } catch (error) {
        if (!(error instanceof TransactionCanceledException)) throw error;
        const reasons = error.CancellationReasons ?? [];
        const other = reasons.find(({ Code }) => Code !== "None" && !RETRIABLE.has(Code ?? ""));
        if (other) throw error;
        return reasons.map(({ Code, Item }) => ({
          failed: Code === "ConditionalCheckFailed",
          item: Item && Object.keys(Item).length > 0 ? unmarshall(Item) : undefined,
        }));
      }
    });
  }

  async #run<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (cause) {
      if (cause instanceof AppError) throw cause;
      if (cause instanceof Error && cause.name === "AbortError") throw deadlineExceeded(cause);
      throw unavailable(cause);
    }
  }
}

const unavailable = (cause: unknown) =>
  new AppError("unavailable", "The conversation store is unavailable right now. Try again in a moment.", {
    cause,
    meta: { retry_after: "1" },
  });

/** Reasons after which the same transaction may be tried again. */
const RETRIABLE = new Set([
  "ConditionalCheckFailed",
  "TransactionConflict",
  "ThrottlingError",
  "ProvisionedThroughputExceeded",
]);

const until = (signal?: AbortSignal) => (signal ? { abortSignal: signal } : {});

const openTurn = (turn: BeginTurn, seq: number): Turn => ({
  conversationId: turn.conversationId,
  seq,
  turnId: turn.turnId,
  digest: turn.digest,
  message: turn.message,
  messageId: turn.messageId,
  createdAt: turn.now,
  lease: turn.lease,
});

/** In the order that `begin` reads the reasons: turn id, head, turn, session. */
function beginItems(TableName: string, turn: BeginTurn, seq: number): TransactItem[] {
  const ReturnValuesOnConditionCheckFailure = "ALL_OLD";
  const list: TransactItem[] = [
    {
      Put: {
        TableName,
        Item: {
          ...items.turnIdKey(turn.owner, turn.turnId),
          conversation_id: turn.conversationId,
          seq,
          created_at: turn.now,
        },
        ConditionExpression: "attribute_not_exists(pk)",
        ReturnValuesOnConditionCheckFailure,
      },
    },
    seq === 1
      ? {
          Put: {
            TableName,
            Item: items.headItem({
              id: turn.conversationId,
              owner: turn.owner,
              platform: turn.platform,
              session: turn.session && sessionOf(turn.session),
              turnCount: 1,
              createdAt: turn.now,
              lastActivity: turn.now,
            }),
            ConditionExpression: "attribute_not_exists(pk)",
            ReturnValuesOnConditionCheckFailure,
          },
        }
      : {
          Update: {
            TableName,
            Key: items.headKey(turn.conversationId),
            UpdateExpression: "SET turn_count = :seq, last_activity = :now",
            ConditionExpression: "#owner = :owner AND turn_count = :seen",
            ExpressionAttributeNames: { "#owner": "owner" },
            ExpressionAttributeValues: {
              ":seq": seq,
              ":seen": seq - 1,
              ":now": turn.now,
              ":owner": turn.owner,
            },
            ReturnValuesOnConditionCheckFailure,
          },
        },
    {
      Put: {
        TableName,
        Item: items.turnItem(openTurn(turn, seq)),
        ConditionExpression: "attribute_not_exists(pk)",
      },
    },
  ];
  if (turn.session) list.push({ Put: sessionPut(TableName, turn, turn.session) });
  return list;
}

const sessionOf = ({ platform, userId, chatId }: SessionMetadata): SessionMetadata => ({
  platform,
  userId,
  chatId,
});

function sessionPut(TableName: string, turn: BeginTurn, session: NonNullable<BeginTurn["session"]>) {
  const { leaving, activeSince, userId } = session;
  const put = {
    TableName,
    Item: {
      ...items.sessionKey(turn.owner, session),
      conversation_id: turn.conversationId,
      user_id: userId,
      active_at: turn.now,
    },
  };
  if (leaving === "any") return put;
  return {
    ...put,
    ConditionExpression:
      "attribute_not_exists(pk) OR conversation_id IN (:conversation, :leaving) OR active_at < :active_since",
    ExpressionAttributeValues: {
      ":conversation": turn.conversationId,
      ":leaving": leaving ?? turn.conversationId,
      ":active_since": activeSince,
    },
    ReturnValuesOnConditionCheckFailure: "ALL_OLD" as const,
  };
}

/** @throws AppError not_found when the conversation that was seen is gone, or is another owner's */
function newestTurnCount(turn: BeginTurn, head: items.Item | undefined): number {
  if (!head || !items.isHead(head) || head["owner"] !== turn.owner)
    throw new AppError("not_found", "There is no such conversation.");
  return head["turn_count"] as number;
}

async function wait(lost: number, signal?: AbortSignal): Promise<void> {
  if (lost >= MAX_LOST) throw unavailable(new Error(`lost ${lost} races for one conversation`));
  const ms = Math.random() * Math.min(RIVAL_BACKOFF_MS.cap, RIVAL_BACKOFF_MS.base * 2 ** lost);
  await setTimeout(ms, undefined, signal ? { signal } : {}).catch((cause: unknown) => {
    throw deadlineExceeded(cause);
  });
}
