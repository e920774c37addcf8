import type { Filter, MongoClient } from "mongodb";
import type { Summary } from "../assistant/context-window.ts";
import { AppError } from "../error.ts";
import { newConversationId } from "../id.ts";
import {
  type BeginTurn,
  type Begun,
  type ConversationStore,
  type Erased,
  OPENING_TURNS,
  type Page,
  type PageRequest,
} from "./conversation-store.ts";
import { appendTurn } from "./mongo-begin.ts";
import { MongoDatabase, unlessDuplicate } from "./mongo-database.ts";
import {
  type ConversationDocument,
  expiry,
  renewal,
  sessionKey,
  type TurnDocument,
  toConversation,
  toTurn,
  turnKey,
} from "./mongo-documents.ts";
import { openTurn } from "./open-turn.ts";
import { decodeToken, encodeToken, listPosition } from "./page-token.ts";
import { forEver, type Retention } from "./retention.ts";
import { wait } from "./rivals.ts";
import type { Conversation, Lease, Reply, SessionMetadata, Turn } from "./types.ts";

/** Turns removed by one command: far fewer than take as long as a command may. */
const ERASED_AT_ONCE = 500;

/**
 * `ConversationStore` on MongoDB, Atlas or any replica set: transactions are what it needs beside a server. For its
 * collections see mongo-schema.ts.
 */
export class MongoStore implements ConversationStore {
  readonly #db: MongoDatabase;
  readonly #retention: Retention;

  /** @param options `retention` absent: everything is kept for ever */
  constructor(options: { client: MongoClient; database: string; retention?: Retention }) {
    this.#db = new MongoDatabase(options);
    this.#retention = options.retention ?? forEver;
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
        const session = await this.#session(turn.owner, turn.session as SessionMetadata, signal);
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
            $or: [{ summary: { $exists: false } }, { "summary.upToSeq": { $lt: summary.upToSeq } }],
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

  async sessionConversation(
    owner: string,
    session: SessionMetadata,
    activeSince: number,
    signal?: AbortSignal,
  ) {
    const found = await this.#session(owner, session, signal);
    return found && found.active_at >= Math.max(activeSince, this.#retention.since)
      ? found.conversation_id
      : undefined;
  }

  async leaveSession(owner: string, session: SessionMetadata, now: number): Promise<void> {
    await this.#db.checkIndexes();
    const nowhere = { conversation_id: newConversationId(now), user_id: session.userId, active_at: now };
    const leave = () =>
      unlessDuplicate(
        this.#db.sessions.updateOne(sessionKey(owner, session), renewal(nowhere, this.#retention, now), {
          upsert: true,
        }),
      );
    // A rival made the document in the same moment.
    for (let lost = 0; !(await this.#db.run(leave)); lost++) await wait(lost);
  }

  async moveSession(owner: string, from: SessionMetadata, to: SessionMetadata): Promise<void> {
    await this.#db.checkIndexes();
    const found = await this.#session(owner, from);
    const { since } = this.#retention;
    if (!found || found.active_at < since) return;
    const { conversation_id, user_id, active_at } = found;
    const moved = { conversation_id, user_id, active_at, ...expiry(this.#retention, active_at) };
    // What is over there, and only not removed yet, is in nobody's way.
    const over = { ...sessionKey(owner, to), active_at: { $lt: since } };
    if (since > 0) await this.#db.run(() => this.#db.sessions.deleteOne(over));
    const move = () =>
      unlessDuplicate(
        this.#db.sessions.updateOne(sessionKey(owner, to), { $setOnInsert: moved }, { upsert: true }),
      );
    // Refused, a rival put the chat somewhere in the same moment.
    await this.#db.run(move);
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
    const page = found.slice(0, size).map(toConversation);
    const last = page.at(-1);
    return {
      items: page,
      nextToken:
        found.length > size && last ? encodeToken({ id: last.id, at: last.lastActivity }) : undefined,
    };
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

  /**
   * The conversation first, marked: no turn can begin in it, nobody can read it, it is in no list. Then its turns, which are
   * all that there will ever be, then the whereabouts of its chats, and the conversation last, so that a crash leaves
   * something to find.
   */
  async erase(owner: string, id: string, signal?: AbortSignal): Promise<Erased | undefined> {
    const { conversations, turns, sessions } = this.#db;
    const head = await this.#db.run(
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
    const [opening, moved] = await this.#db.run(
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
      erased += (await this.#db.runAgain(() => turns.deleteMany(some), signal)).deletedCount;
    }
    await this.#db.runAgain(() => sessions.deleteMany({ conversation_id: id, owner }), signal);
    await this.#db.run(() => conversations.deleteOne({ _id: id, owner }), signal);
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

  async ping(signal?: AbortSignal): Promise<void> {
    await this.#db.run(() => this.#db.db.command({ ping: 1 }), signal);
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

  async #session(owner: string, session: SessionMetadata, signal?: AbortSignal) {
    return this.#db.run(() => this.#db.sessions.findOne(sessionKey(owner, session)), signal);
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
