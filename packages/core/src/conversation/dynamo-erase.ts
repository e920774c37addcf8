import { type Erased, OPENING_TURNS } from "./conversation-store.ts";
import * as items from "./dynamo-items.ts";
import type { TableClient } from "./table-client.ts";

/** Turns removed in one transaction, each with its turn id; DynamoDB allows 100 items. */
const ERASED_AT_ONCE = 50;

/**
 * The head first, marked: without its turn count no turn can begin, without its last activity it is in no list. Then
 * turns with their turn ids, then the chat's whereabouts, and the head last, so that a crash leaves something to find.
 */
export async function eraseConversation(
  table: TableClient,
  owner: string,
  id: string,
  signal?: AbortSignal,
): Promise<Erased | undefined> {
  const head = await table.updated(
    items.headKey(id),
    {
      UpdateExpression: "SET erasing = :true REMOVE turn_count, last_activity",
      ConditionExpression: "#owner = :owner",
      ExpressionAttributeNames: { "#owner": "owner" },
      ExpressionAttributeValues: { ":owner": owner, ":true": true },
    },
    signal,
  );
  if (!head) return undefined;
  const erased: Erased = { turns: 0, chats: items.chatsOf(head), opening: [] };
  for (let more = true; more; ) {
    const page = await table.query(items.turnsAfter(id, 0, ERASED_AT_ONCE), signal);
    const turns = page.found.map(items.toTurn);
    const deletes = turns.flatMap((turn) => [
      table.delete(items.turnIdKey(owner, turn.turnId)),
      table.delete(items.turnKey(id, turn.seq)),
    ]);
    if (deletes.length > 0) await table.transactUntilDone(deletes, signal);
    if (erased.turns === 0) erased.opening = turns.slice(0, OPENING_TURNS).map(({ message }) => message);
    erased.turns += turns.length;
    more = page.more;
  }
  for (const chat of erased.chats) {
    // The chat may be in another conversation by now, or in none.
    const inThisOne = {
      ConditionExpression: "conversation_id = :id",
      ExpressionAttributeValues: { ":id": id },
    };
    await table.transactUntilDone([table.delete(items.sessionKey(owner, chat), inThisOne)], signal);
  }
  await table.transactUntilDone([table.delete(items.headKey(id))], signal);
  return erased;
}
