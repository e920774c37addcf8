import type { ClientSession } from "mongodb";
import type { BeginTurn, SessionClaim } from "./conversation-store.ts";
import { type MongoDatabase, type Outcome, unlessDuplicate } from "./mongo-database.ts";
import { expiry, renewal, sessionKey, turnDocument } from "./mongo-documents.ts";
import { openTurn, sessionOf, speakerOf } from "./open-turn.ts";
import type { Retention } from "./retention.ts";

type Appended = Outcome &
  (
    | { commit: true; seq: number }
    /** What is in the way: another owner's conversation or none, the turn id, or the conversation that the chat is in. */
    | { commit: false; inTheWay: "conversation" | "turn" | "session" }
  );

/**
 * Appends a turn: conversation, turn and the chat's whereabouts in one transaction, of as many round trips at turn 1,000
 * as at turn 1. The conversation comes first, and its counter gives the turn its number: of rivals one has it, the others
 * conflict here, and none sees a number that is not its own.
 */
export async function appendTurn(
  { conversations, turns, sessions }: MongoDatabase,
  turn: BeginTurn,
  retention: Retention,
  transaction: ClientSession,
): Promise<Appended> {
  const { conversationId: id, owner, now } = turn;
  const { since } = retention;
  const isNew = turn.turnCount === 0;
  const head = await unlessDuplicate(
    conversations.findOneAndUpdate(
      { _id: id, owner, erasing: { $exists: false }, ...(since > 0 && { last_activity: { $gte: since } }) },
      {
        $inc: { turn_count: 1 },
        ...renewal({ last_activity: now }, retention, now),
        ...(isNew && { $setOnInsert: newHead(turn) }),
      },
      {
        session: transaction,
        upsert: isNew,
        returnDocument: "after",
        projection: { turn_count: 1 },
      },
    ),
  );
  if (!head) return { commit: false, inTheWay: "conversation" };
  const seq = head.turn_count;
  const stored = {
    ...turnDocument(owner, openTurn(turn, seq)),
    ...speakerOf(turn),
    ...expiry(retention, now),
  };
  if (!(await unlessDuplicate(turns.insertOne(stored, { session: transaction }))))
    return { commit: false, inTheWay: "turn" };
  if (turn.session) {
    const moved = sessions.updateOne(
      { ...sessionKey(owner, turn.session), ...mayLeave(id, turn.session, since) },
      renewal({ conversation_id: id, user_id: turn.session.userId, active_at: now }, retention, now),
      { session: transaction, upsert: true },
    );
    if (!(await unlessDuplicate(moved))) return { commit: false, inTheWay: "session" };
  }
  return { commit: true, seq };
}

const newHead = ({ platform, session, now }: BeginTurn) => ({
  platform,
  ...(session && { session: sessionOf(session) }),
  created_at: now,
});

/** A chat that is elsewhere does not fit, so it would be inserted a second time, which the unique index refuses. */
function mayLeave(id: string, { leaving, activeSince }: SessionClaim, since: number) {
  if (leaving === "any") return {};
  return {
    $or: [
      { conversation_id: { $in: [id, leaving ?? id] } },
      { active_at: { $lt: Math.max(activeSince, since) } },
    ],
  };
}
