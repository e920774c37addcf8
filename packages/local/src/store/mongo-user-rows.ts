import type { Erased } from "@parley/core/conversation/conversation-store";
import { MongoDatabase } from "@parley/core/conversation/mongo-database";
import { MongoStore } from "@parley/core/conversation/mongo-store";
import type { OutboxEntry } from "@parley/core/telegram/outbox";
import type { Collection, MongoClient } from "mongodb";
import { privateChat, type RowPage, type User, type UserRow, type UserRows } from "./user-rows.ts";

const AT_ONCE = 200;

/** Four queries, each on an index; see mongo-schema.ts. What is found is read from the beginning every time. */
export class MongoUserRows implements UserRows {
  readonly #db: MongoDatabase;
  readonly #outbox: Collection<{ _id: string; entry: OutboxEntry }>;
  readonly #store: MongoStore;

  constructor(options: { client: MongoClient; database: string }) {
    this.#db = new MongoDatabase(options);
    this.#outbox = this.#db.db.collection("outbox");
    this.#store = new MongoStore(options);
  }

  async *pages(user: User): AsyncIterable<RowPage> {
    const { platform, userId } = user;
    const { conversations, turns, sessions } = this.#db;
    yield* pagesOf(
      conversations.find({ "session.platform": platform, "session.userId": userId }),
      ({ _id: id, owner, session }) => ({
        kind: "conversation",
        owner,
        id,
        chats: session ? [session] : [],
      }),
    );
    yield* pagesOf(turns.find({ platform, user_id: userId }), (turn) => ({
      kind: "message",
      conversationId: turn.conversation_id,
      seq: turn.seq,
      turnId: turn.turn_id,
      text: turn.message,
    }));
    yield* pagesOf(sessions.find({ platform, user_id: userId }), ({ owner, chat_id: chatId }) => ({
      kind: "chat",
      owner,
      session: { platform, userId, chatId },
    }));
    if (platform !== "telegram") return;
    const chat = privateChat(user);
    const theirs = [
      { "entry.userId": userId },
      ...(chat === undefined ? [] : [{ "entry.place.chat": chat }]),
    ];
    yield* pagesOf(this.#outbox.find({ $or: theirs }), ({ _id: id }) => ({ kind: "answer", id }));
  }

  eraseConversation(owner: string, id: string): Promise<Erased | undefined> {
    return this.#store.erase(owner, id);
  }

  async erase(row: Exclude<UserRow, { kind: "conversation" }>): Promise<boolean> {
    if (row.kind === "message") {
      // One that tells of this turn; the next that is needed is made without it.
      const told = { _id: row.conversationId, "summary.upToSeq": { $gte: row.seq } };
      await this.#db.conversations.updateOne(told, { $unset: { summary: "" } });
    }
    const { deletedCount } = await this.#delete(row);
    return deletedCount > 0;
  }

  #delete(row: Exclude<UserRow, { kind: "conversation" }>) {
    const { turns, sessions } = this.#db;
    switch (row.kind) {
      case "message":
        return turns.deleteOne({ conversation_id: row.conversationId, seq: row.seq });
      case "chat": {
        const { platform, userId, chatId } = row.session;
        return sessions.deleteOne({ owner: row.owner, platform, chat_id: chatId, user_id: userId });
      }
      case "answer":
        return this.#outbox.deleteOne({ _id: row.id });
    }
  }
}

/** Read to its end before any of it is erased, page by page. */
async function* pagesOf<T>(found: AsyncIterable<T>, toRow: (document: T) => UserRow): AsyncIterable<RowPage> {
  let rows: UserRow[] = [];
  for await (const document of found) {
    rows.push(toRow(document));
    if (rows.length < AT_ONCE) continue;
    yield { rows, looked: rows.length };
    rows = [];
  }
  yield { rows, looked: rows.length };
}
