import { AppError } from "../error.ts";
import type { BeginTurn } from "./conversation-store.ts";
import * as items from "./dynamo-items.ts";
import { openTurn, sessionOf } from "./open-turn.ts";
import type { TransactItem } from "./table-client.ts";

/** In the order that `begin` reads the reasons: turn id, head, turn, session. */
export function beginItems(TableName: string, turn: BeginTurn, seq: number): TransactItem[] {
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
export function newestTurnCount(turn: BeginTurn, head: items.Item | undefined): number {
  if (!head || !items.isHead(head) || head["owner"] !== turn.owner)
    throw new AppError("not_found", "There is no such conversation.");
  return head["turn_count"] as number;
}
