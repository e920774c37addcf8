import type { Filter, MongoClient } from "mongodb";
import type { Summary } from "../assistant/context-window.ts";
import { AppError } from "../error.ts";
import type { BeginTurn, Begun, ConversationStore, Erased, Page, PageRequest } from "./conversation-store.ts";
import { appendTurn } from "./mongo-begin.ts";
import { MongoDatabase } from "./mongo-database.ts";
import {
  type ConversationDocument,
  type TurnDocument,
  toConversation,
  toTurn,
  turnKey,
} from "./mongo-documents.ts";
import { eraseConversation } from "./mongo-erase.ts";
import { MongoSessions } from "./mongo-sessions.ts";
import { openTurn } from "./open-turn.ts";
import { decodeToken, listPage, listPosition } from "./page-token.ts";
import { forEver, type Retention } from "./retention.ts";
import { wait } from "./rivals.ts";
import type { Conversation, Lease, Reply, SessionMetadata, Turn } from "./types.ts";

/**
 * `ConversationStore` on MongoDB, Atlas or any replica set: transactions are what it needs beside a server. For its
 * collections see mongo-schema.ts.
 */
export class MongoStore implements ConversationStore {
  readonly #db: MongoDatabase;
  readonly #retention: Retention;
  readonly #sessions: MongoSessions;

  /** @param options `retention` absent: everything is kept for ever */
  constructor(options: { client: MongoClient; database: string; retention?: Retention }) {
    this.#db = new MongoDatabase(options);
    this.#retention = options.retention ?? forEver;
    this.#sessions = new MongoSessions(this.#db, this.#retention);
  }

  async load(id: string, turns: number, signal?: AbortSignal) {
    const [head, newest] = await this.#db.run(
      () =>
        Promise.all([
          this.#db.conversations.findOne({ _id: id, ...this.#active() }),
          this.#newestTurns({ conversation_id: id }, turns),
        ]),
      signal,
    );
    return head ? { conversation: toConversation(head), turns: newest } : undefined;
  }

  async turnsBefore(id: string, seq: number, limit: number, signal?: AbortSignal): Promise<Turn[]> {
    if (seq <= 1) return [];
    return this.#db.run(() => this.#newestTurns({ conversation_id: id, seq: { $lt: seq } }, limit), signal);
  }

  /** Why a turn was not appended is read after its transaction; it may be gone by then, and the turn is tried again. */
  async begin(turn: BeginTurn): Promise<Begun> {
    const { signal } = turn;
    await this.#db.checkIndexes(signal);
    for (let lost = 0; ; lost++) {
      const appended = await this.#db.transact(
        (session) => appendTurn(this.#db, turn, this.#retention, session),
        signal,
      );
      if (appended.commit) return { outcome: "begun", turn: openTurn(turn, appended.seq) };
      if (appended.inTheWay === "session") {
        const session = await this.#sessions.find(turn.owner, turn.session as SessionMetadata, signal);
        if (session && session.conversation_id !== turn.conversationId)
          return { outcome: "moved", conversationId: session.conversation_id };
      } else {
        const known = await this.#known(turn);
        if (known) return known;
        if (appended.inTheWay === "conversation")
          throw new AppError("not_found", "There is no such conversation.");
      }
      await wait(lost, signal);
    }
  }

  async claim(turn: Turn, lease: Lease, now: number, signal?: AbortSignal): Promise<Turn | undefined> {
    if (turn.createdAt < this.#retention.since) return undefined;
    const claimed = await this.#db.run(
      () =>
        this.#db.turns.findOneAndUpdate(
          {
            ...turnKey(turn),
            reply: { $exists: false },
            // By the same holder: the answer to its first attempt was lost.
            $or: [
              { lease: { $exists: false } },
              { "lease.until": { $lte: now } },
              { "lease.holder": lease.holder },
            ],
          },
          { $set: { lease } },
          { returnDocument: "after" },
        ),
      signal,
    );
    return claimed ? toTurn(claimed) : undefined;
  }

  /** A transaction only when there is a title to set, which is once in a conversation. */
  async complete(turn: Turn, holder: string, reply: Reply, title?: string): Promise<boolean> {
    if (turn.createdAt < this.#retention.since) return false;
    const { turns, conversations } = this.#db;
    const held: Filter<TurnDocument> = {
      ...turnKey(turn),
      // The same reply again: the answer to the first attempt was lost.
      $or: [{ "lease.holder": holder, reply: { $exists: false } }, { "reply.messageId": reply.messageId }],
    };
    const done = { $set: { reply }, $unset: { lease: "" as const } };
    if (title === undefined) {
      const { matchedCount } = await this.#db.run(() => turns.updateOne(held, done));
      return matchedCount > 0;
    }
    const { commit } = await this.#db.transact(async (session) => {
      const { matchedCount } = await turns.updateOne(held, done, { session });
      if (matchedCount === 0) return { commit: false };
      const untitled = { _id: turn.conversationId, title: { $exists: false } };
      await conversations.updateOne(untitled, { $set: { title } }, { session });
      return { commit: true };
    });
    return commit;
  }

  async release(turn: Turn, holder: string): Promise<void> {
    await this.#db.run(() =>
      this.#db.turns.updateOne({ ...turnKey(turn), "lease.holder": holder }, { $unset: { lease: "" } }),
    );
  }

  async summarise(conversationId: string, summary: Summary, signal?: AbortSignal): Promise<boolean> {
    const { matchedCount } = await this.#db.run(
      () =>
        this.#db.conversations.updateOne(
          {
            _id: conversationId,
            erasing: { $exists: false },
            $or: [
              { summary: { $exists: false } },
              { "summary.upToSeq": { $lt: summary.upToSeq } },
              // The same text again: the answer to the first attempt was lost.
              { "summary.upToSeq": summary.upToSeq, "summary.text": summary.text },
            ],
          },
          { $set: { summary } },
        ),
      signal,
    );
    return matchedCount > 0;
  }

  async turn(conversationId: string, seq: number): Promise<Turn | undefined> {
    const found = await this.#db.run(() =>
      this.#db.turns.findOne({ ...turnKey({ conversationId, seq }), ...this.#kept() }),
    );
    return found ? toTurn(found) : undefined;
  }

  sessionConversation(owner: string, session: SessionMetadata, activeSince: number, signal?: AbortSignal) {
    return this.#sessions.conversation(owner, session, activeSince, signal);
  }

  leaveSession(owner: string, session: SessionMetadata, now: number): Promise<void> {
    return this.#sessions.leave(owner, session, now);
  }

  moveSession(owner: string, from: SessionMetadata, to: SessionMetadata): Promise<void> {
    return this.#sessions.move(owner, from, to);
  }

  async list(owner: string, { size, token }: PageRequest): Promise<Page<Conversation>> {
    const after = token === undefined ? undefined : decodeToken(token, listPosition);
    const older: Filter<ConversationDocument> = after
      ? { $or: [{ last_activity: { $lt: after.at } }, { last_activity: after.at, _id: { $lt: after.id } }] }
      : {};
    const found = await this.#db.run(() =>
      this.#db.conversations
        // The owner is the caller's own, whatever the token says.
        .find({ $and: [{ owner, ...this.#active() }, older] }, { projection: { summary: 0 } })
        .sort({ last_activity: -1, _id: -1 })
        .limit(size + 1)
        .toArray(),
    );
    return listPage(found.slice(0, size).map(toConversation), found.length > size);
  }

  async turnsAfter(conversationId: string, seq: number, limit: number, signal?: AbortSignal) {
    const found = await this.#db.run(
      () =>
        this.#db.turns
          .find({ conversation_id: conversationId, seq: { $gt: seq }, ...this.#kept() })
          .sort({ seq: 1 })
          .limit(limit + 1)
          .toArray(),
      signal,
    );
    return { turns: found.slice(0, limit).map(toTurn), more: found.length > limit };
  }

  erase(owner: string, id: string, signal?: AbortSignal): Promise<Erased | undefined> {
    return eraseConversation(this.#db, owner, id, signal);
  }

  async ping(signal?: AbortSignal): Promise<void> {
    await this.#db.runAgain(() => this.#db.db.command({ ping: 1 }), signal);
  }

  /** Oldest first, and in one round trip: fewer when MongoDB's 16 MB do not hold them. */
  async #newestTurns(of: Filter<TurnDocument>, limit: number): Promise<Turn[]> {
    // To MongoDB a limit of 0 is none.
    if (limit === 0) return [];
    const found = await this.#db.turns
      .find({ ...of, ...this.#kept() }, { sort: { seq: -1 }, limit, singleBatch: true })
      .toArray();
    return found.map(toTurn).reverse();
  }

  /** Of turns: that they are not over. */
  #kept(): Filter<TurnDocument> {
    const { since } = this.#retention;
    return since > 0 ? { created_at: { $gte: since } } : {};
  }

  /** Of conversations: that they are neither over nor being erased. */
  #active(): Filter<ConversationDocument> {
    const { since } = this.#retention;
    return { erasing: { $exists: false }, ...(since > 0 && { last_activity: { $gte: since } }) };
  }

  /** The turn that this owner's turn id has become, if any. */
  async #known({ owner, turnId, lease, signal }: BeginTurn): Promise<Begun | undefined> {
    const found = await this.#db.run(() => this.#db.turns.findOne({ owner, turn_id: turnId }), signal);
    if (!found) return undefined;
    if (found.created_at < this.#retention.since) {
      // Over, and only not removed yet: the id is new again.
      await this.#db.run(() => this.#db.turns.deleteOne({ _id: found._id }), signal);
      return undefined;
    }
    // Our own, stored by an attempt whose answer was lost.
    const outcome = found.lease?.holder === lease.holder ? "begun" : "known";
    return { outcome, turn: toTurn(found) };
  }
}
