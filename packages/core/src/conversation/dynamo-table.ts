import type { CreateTableCommandInput } from "@aws-sdk/client-dynamodb";

/** Index of conversation heads by owner and last activity. Only heads have both attributes, so only they are in it. */
export const OWNER_INDEX = "by-owner";

/** When an item may be removed, in seconds since the epoch: the table's time to live. */
export const TTL_ATTRIBUTE = "expires_at";

/**
 * The one table: its keys and its only index.
 *
 * | pk                                      | sk                   | item                                     |
 * |-----------------------------------------|----------------------|------------------------------------------|
 * | `CONV#{id}`                             | `TURN#HEAD`          | the conversation's head                  |
 * | `CONV#{id}`                             | `TURN#{seq, 10 digits}` | a turn                                |
 * | `KEY#{owner}#{turn_id}`                 | `KEY`                | which turn a turn id became              |
 * | `SESSION#{owner}#{platform}#{chat_id}`  | `SESSION`            | the conversation that a chat is in       |
 * | `OUTBOX#telegram:{bot}:{update_id}`     | `OUTBOX`             | an answer on its way, until `expires_at` |
 * | `FORGOTTEN#{digest of a user}`          | `FORGOTTEN`          | when the user was erased, until `expires_at` |
 * | `PROMPTS`                               | `PROMPTS`            | the model's instructions in place of the built-in ones |
 *
 * `TURN#HEAD` sorts after every turn: one descending query reads the head and then the newest turns. Turn ids belong to
 * an owner and not to a conversation, for a repetition may come when its chat has moved to another conversation. The
 * session is an item and not an index: an item takes part in the transaction that begins a turn, an index lags.
 */
export function tableDefinition(TableName: string): CreateTableCommandInput {
  return {
    TableName,
    BillingMode: "PAY_PER_REQUEST",
    AttributeDefinitions: [
      { AttributeName: "pk", AttributeType: "S" },
      { AttributeName: "sk", AttributeType: "S" },
      { AttributeName: "owner", AttributeType: "S" },
      { AttributeName: "last_activity", AttributeType: "N" },
    ],
    KeySchema: [
      { AttributeName: "pk", KeyType: "HASH" },
      { AttributeName: "sk", KeyType: "RANGE" },
    ],
    GlobalSecondaryIndexes: [
      {
        IndexName: OWNER_INDEX,
        KeySchema: [
          { AttributeName: "owner", KeyType: "HASH" },
          { AttributeName: "last_activity", KeyType: "RANGE" },
        ],
        Projection: { ProjectionType: "ALL" },
      },
    ],
  };
}
