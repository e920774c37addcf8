import { type Erased, OPENING_TURNS } from "./conversation-store.ts";
import type { MongoDatabase } from "./mongo-database.ts";

/** Turns removed by one command: far fewer than take as long as a command may. */
const ERASED_AT_ONCE = 500;

/**
 * The conversation first, marked: no turn can begin in it, nobody can read it, it is in no list. Then its turns, which are
 * all that there will ever be, then the whereabouts of its chats, and the conversation last, so that a crash leaves
 * something to find.
 */
export async function eraseConversation(
  db: MongoDatabase,
  owner: string,
  id: string,
  signal?: AbortSignal,
): Promise<Erased | undefined> {
  const { conversations, turns, sessions } = db;
  const head = await db.run(
    () =>
      conversations.findOneAndUpdate(
        { _id: id, owner },
        { $set: { erasing: true }, $unset: { last_activity: "" } },
        { returnDocument: "after" },
      ),
    signal,
  );
  if (!head) return undefined;
  const { session } = head;
  const [opening, moved] = await db.run(
    () =>
      Promise.all([
        turns.find({ conversation_id: id }, { sort: { seq: 1 }, limit: OPENING_TURNS }).toArray(),
        sessions.find({ conversation_id: id, owner }).toArray(),
      ]),
    signal,
  );
  let erased = 0;
  for (let from = 1; from <= head.turn_count; from += ERASED_AT_ONCE) {
    const some = { conversation_id: id, seq: { $gte: from, $lt: from + ERASED_AT_ONCE } };
    erased += (await db.runAgain(() => turns.deleteMany(some), signal)).deletedCount;
  }
  await db.runAgain(() => sessions.deleteMany({ conversation_id: id, owner }), signal);
  await db.run(() => conversations.deleteOne({ _id: id, owner }), signal);
  const others = moved.filter(({ chat_id }) => chat_id !== session?.chatId);
  return {
    turns: erased,
    chats: [
      ...(session ? [session] : []),
      ...others.map(({ platform, user_id, chat_id }) => ({ platform, userId: user_id, chatId: chat_id })),
    ],
    opening: opening.map(({ message }) => message),
  };
}
