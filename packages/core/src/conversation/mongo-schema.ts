import { type Db, type IndexDescription, MongoServerError } from "mongodb";
import { AppError } from "../error.ts";

const NAMESPACE_NOT_FOUND = 26;

/** Removes a document when its `expires_at`, a date, has come. */
const expiring = { name: "by_expiry", key: { expires_at: 1 }, expireAfterSeconds: 0 };

/**
 * The collections and their indexes:
 *
 * | collection      | document                                                  | unique                        |
 * |-----------------|-----------------------------------------------------------|-------------------------------|
 * | `conversations` | a conversation without its turns                          | `_id`, the conversation's id  |
 * | `turns`         | a turn                                                    | conversation and seq; owner and turn id |
 * | `sessions`      | the conversation that a chat is in                        | owner, platform and chat      |
 * | `outbox`        | an answer on its way to Telegram, until `expires_at`      | `_id`, the entry's id         |
 * | `forgotten`     | when a user was forgotten, until `expires_at`             | `_id`, platform and user      |
 * | `prompts`       | the model's instructions in place of the built-in ones    | `_id`, of the one document    |
 *
 * Turn ids belong to an owner and not to a conversation, for a repetition may come when its chat has moved to another.
 */
export const mongoIndexes: Readonly<Record<string, readonly (IndexDescription & { name: string })[]>> = {
  conversations: [
    { name: "by_owner", key: { owner: 1, last_activity: -1, _id: -1 } },
    { name: "by_user", key: { "session.platform": 1, "session.userId": 1 } },
    expiring,
  ],
  turns: [
    { name: "by_seq", key: { conversation_id: 1, seq: 1 }, unique: true },
    { name: "by_turn_id", key: { owner: 1, turn_id: 1 }, unique: true },
    { name: "by_user", key: { platform: 1, user_id: 1 } },
    expiring,
  ],
  sessions: [
    { name: "by_chat", key: { owner: 1, platform: 1, chat_id: 1 }, unique: true },
    { name: "by_conversation", key: { conversation_id: 1 } },
    { name: "by_user", key: { platform: 1, user_id: 1 } },
    expiring,
  ],
  outbox: [
    { name: "by_chat", key: { "entry.place.chat": 1 } },
    { name: "by_user", key: { "entry.userId": 1 } },
    expiring,
  ],
  forgotten: [expiring],
};

/** Makes what is missing of it, and leaves the rest as it is. `told` hears of each collection. */
export async function migrateMongo(db: Db, told: (collection: string) => void = () => {}): Promise<void> {
  for (const [collection, indexes] of Object.entries(mongoIndexes)) {
    await db.collection(collection).createIndexes([...indexes]);
    told(collection);
  }
}

/**
 * Without its unique indexes MongoDB would take a turn twice and say nothing.
 * @throws AppError failed_precondition that says what to do
 */
export async function checkIndexes(db: Db): Promise<void> {
  const missing = await Promise.all(
    Object.entries(mongoIndexes).map(async ([collection, indexes]) => {
      const unique = indexes.filter((index) => index.unique);
      if (unique.length === 0) return [];
      const there = await indexesOf(db, collection);
      return unique
        .filter(({ key }) => !there.has(JSON.stringify(key)))
        .map(({ name }) => `${collection}.${name}`);
    }),
  );
  if (missing.flat().length === 0) return;
  throw new AppError(
    "failed_precondition",
    `The database that MONGODB_URI and MONGODB_DATABASE name has no unique index ${missing.flat().join(", ")}: run npm run store -- migrate.`,
  );
}

/** The keys of a collection's unique indexes, as JSON. */
async function indexesOf(db: Db, collection: string): Promise<Set<string>> {
  try {
    const there = await db.collection(collection).indexes();
    return new Set(there.filter((index) => index.unique).map(({ key }) => JSON.stringify(key)));
  } catch (error) {
    if (error instanceof MongoServerError && error.code === NAMESPACE_NOT_FOUND) return new Set();
    throw error;
  }
}
