import type { ClientSession } from "mongodb";
import type { BeginTurn, SessionClaim } from "./conversation-store.ts";
import { type MongoDatabase, type Outcome, unlessDuplicate } from "./mongo-database.ts";
import { sessionKey, turnDocument } from "./mongo-documents.ts";
import { openTurn, sessionOf } from "./open-turn.ts";

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
  transaction: ClientSession,
): Promise<Appended> {
  const { conversationId: id, owner, now } = turn;
  const isNew = turn.turnCount === 0;
  const head = await unlessDuplicate(
    conversations.findOneAndUpdate(
      { _id: id, owner, erasing: { $exists: false } },
      {
        $inc: { turn_count: 1 },
        $set: { last_activity: now },
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
  const stored = turnDocument(owner, openTurn(turn, seq));
  if (!(await unlessDuplicate(turns.insertOne(stored, { session: transaction }))))
    return { commit: false, inTheWay: "turn" };
  if (turn.session) {
    const moved = sessions.updateOne(
      { ...sessionKey(owner, turn.session), ...mayLeave(id, turn.session) },
      { $set: { conversation_id: id, user_id: turn.session.userId, active_at: now } },
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
function mayLeave(id: string, { leaving, activeSince }: SessionClaim) {
  if (leaving === "any") return {};
  return {
    $or: [{ conversation_id: { $in: [id, leaving ?? id] } }, { active_at: { $lt: activeSince } }],
  };
}
