import { AppError } from "../error.ts";
import type { BeginTurn } from "./conversation-store.ts";
import * as items from "./dynamo-items.ts";
import { openTurn, sessionOf, speakerOf } from "./open-turn.ts";
import type { Retention } from "./retention.ts";
import type { TransactItem } from "./table-client.ts";

/** In the order that `begin` reads the reasons: turn id, head, turn, session. */
export function beginItems(
  TableName: string,
  turn: BeginTurn,
  seq: number,
  retention: Retention,
): TransactItem[] {
  const ReturnValuesOnConditionCheckFailure = "ALL_OLD";
  const { since } = retention;
  const expires = items.expiry(retention, turn.now);
  const list: TransactItem[] = [
    {
      Put: {
        TableName,
        Item: {
          ...items.turnIdKey(turn.owner, turn.turnId),
          conversation_id: turn.conversationId,
          seq,
          created_at: turn.now,
          ...expires,
        },
        // Of a turn that is over, and only not removed yet: new again.
        ConditionExpression: "attribute_not_exists(pk) OR created_at < :since",
        ExpressionAttributeValues: { ":since": since },
        ReturnValuesOnConditionCheckFailure,
      },
    },
    seq === 1
      ? {
          Put: {
            TableName,
            Item: {
              ...items.headItem({
                id: turn.conversationId,
                owner: turn.owner,
                platform: turn.platform,
                session: turn.session && sessionOf(turn.session),
                turnCount: 1,
                createdAt: turn.now,
                lastActivity: turn.now,
              }),
              ...expires,
            },
            ConditionExpression: "attribute_not_exists(pk)",
            ReturnValuesOnConditionCheckFailure,
          },
        }
      : {
          Update: {
            TableName,
            Key: items.headKey(turn.conversationId),
            UpdateExpression: `SET turn_count = :seq, last_activity = :now${items.renewal(expires)}`,
            ConditionExpression: "#owner = :owner AND turn_count = :seen AND last_activity >= :since",
            ExpressionAttributeNames: { "#owner": "owner" },
            ExpressionAttributeValues: {
              ":seq": seq,
              ":seen": seq - 1,
              ":now": turn.now,
              ":owner": turn.owner,
              ":since": since,
              ...(expires && { ":expires_at": expires.expires_at }),
            },
            ReturnValuesOnConditionCheckFailure,
          },
        },
    {
      Put: {
        TableName,
        Item: { ...items.turnItem(openTurn(turn, seq)), ...speakerOf(turn), ...expires },
        ConditionExpression: "attribute_not_exists(pk)",
      },
    },
  ];
  if (turn.session) list.push({ Put: sessionPut(TableName, turn, turn.session, retention) });
  return list;
}

function sessionPut(
  TableName: string,
  turn: BeginTurn,
  session: NonNullable<BeginTurn["session"]>,
  retention: Retention,
) {
  const { leaving, activeSince, userId } = session;
  const put = {
    TableName,
    Item: {
      ...items.sessionKey(turn.owner, session),
      conversation_id: turn.conversationId,
      user_id: userId,
      active_at: turn.now,
      ...items.expiry(retention, turn.now),
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
      ":active_since": Math.max(activeSince, retention.since),
    },
    ReturnValuesOnConditionCheckFailure: "ALL_OLD" as const,
  };
}

/** @throws AppError not_found when the conversation that was seen is gone, or is another owner's */
export function newestTurnCount(turn: BeginTurn, head: items.Item | undefined, since: number): number {
  if (!head || !items.isHead(head, since) || head["owner"] !== turn.owner)
    throw new AppError("not_found", "There is no such conversation.");
  return head["turn_count"] as number;
}
