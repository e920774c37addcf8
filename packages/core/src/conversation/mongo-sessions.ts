import { newConversationId } from "../id.ts";
import { type MongoDatabase, unlessDuplicate } from "./mongo-database.ts";
import { expiry, renewal, type SessionDocument, sessionKey } from "./mongo-documents.ts";
import type { Retention } from "./retention.ts";
import { wait } from "./rivals.ts";
import type { SessionMetadata } from "./types.ts";

/** Which conversation each chat is in, as `ConversationStore` has it; `begin` writes it too. */
export class MongoSessions {
  readonly #db: MongoDatabase;
  readonly #retention: Retention;

  constructor(db: MongoDatabase, retention: Retention) {
    this.#db = db;
    this.#retention = retention;
  }

  find(owner: string, session: SessionMetadata, signal?: AbortSignal): Promise<SessionDocument | null> {
    return this.#db.run(() => this.#db.sessions.findOne(sessionKey(owner, session)), signal);
  }

  async conversation(owner: string, session: SessionMetadata, activeSince: number, signal?: AbortSignal) {
    const found = await this.find(owner, session, signal);
    return found && found.active_at >= Math.max(activeSince, this.#retention.since)
      ? found.conversation_id
      : undefined;
  }

  async leave(owner: string, session: SessionMetadata, now: number): Promise<void> {
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

  async move(owner: string, from: SessionMetadata, to: SessionMetadata): Promise<void> {
    await this.#db.checkIndexes();
    const found = await this.find(owner, from);
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
}
