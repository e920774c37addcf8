import type { Document } from "mongodb";
import type { Engine, Transaction } from "./engine.ts";
import { MongoServerFault, noSuchTransaction } from "./errors.ts";

type Session = {
  /** Of the newest transaction or retryable write. */
  number: number;
  /** The answer to that write, for whoever sends it again. */
  reply?: Promise<Document> | undefined;
  transaction?:
    | { state: "open" | "committed" | "aborted"; run: Transaction; timer: NodeJS.Timeout }
    | undefined;
};

/** What the server remembers of a client's sessions: the last retryable write's answer, and the transaction. */
export class ClientSessions {
  readonly #engine: Engine;
  readonly #lifetimeMs: number;
  readonly #sessions = new Map<string, Session>();

  constructor(engine: Engine, lifetimeMs: number) {
    this.#engine = engine;
    this.#lifetimeMs = lifetimeMs;
  }

  /** A write that is done once, however often it is sent under one number. */
  once(body: Document, run: () => Promise<Document>): Promise<Document> {
    const session = this.#at(body);
    const number = Number(body["txnNumber"]);
    if (number === session.number && session.reply) return session.reply;
    session.number = number;
    session.transaction = undefined;
    const reply = run();
    session.reply = reply;
    // What was not done may be sent again.
    reply.catch(() => {
      if (session.reply === reply) session.reply = undefined;
    });
    return reply;
  }

  /** The transaction that a command is part of, begun by its first. @throws MongoServerFault NoSuchTransaction */
  transaction(body: Document): Transaction {
    const session = this.#at(body);
    const number = Number(body["txnNumber"]);
    if (body["startTransaction"] === true) {
      this.#abort(session);
      session.number = number;
      session.reply = undefined;
      const run = this.#engine.begin();
      const timer = setTimeout(() => this.#abort(session), this.#lifetimeMs);
      timer.unref();
      session.transaction = { state: "open", run, timer };
      return run;
    }
    const { transaction } = session;
    if (transaction?.state !== "open" || session.number !== number) throw noSuchTransaction(number);
    return transaction.run;
  }

  /** Sent again, it is answered again. */
  async commit(body: Document): Promise<Document> {
    const session = this.#at(body);
    const { transaction } = session;
    const number = Number(body["txnNumber"]);
    if (!transaction || session.number !== number || transaction.state === "aborted")
      throw noSuchTransaction(number);
    if (transaction.state === "open") {
      transaction.state = "committed";
      clearTimeout(transaction.timer);
      await this.#engine.commit(transaction.run);
    }
    return { ok: 1 };
  }

  abort(body: Document): Document {
    const session = this.#at(body);
    const number = Number(body["txnNumber"]);
    if (session.transaction?.state !== "open" || session.number !== number) throw noSuchTransaction(number);
    this.#abort(session);
    return { ok: 1 };
  }

  end(ids: readonly Document[]): Document {
    for (const id of ids) {
      const key = keyOf(id);
      const session = this.#sessions.get(key);
      if (session) this.#abort(session);
      this.#sessions.delete(key);
    }
    return { ok: 1 };
  }

  close(): void {
    for (const session of this.#sessions.values()) this.#abort(session);
  }

  #abort({ transaction }: Session): void {
    if (transaction?.state !== "open") return;
    transaction.state = "aborted";
    clearTimeout(transaction.timer);
    this.#engine.end(transaction.run);
  }

  #at({ lsid, txnNumber }: Document): Session {
    const key = keyOf(lsid);
    const session = this.#sessions.get(key) ?? { number: -1 };
    if (Number(txnNumber) < session.number)
      throw new MongoServerFault(225, `Cannot start transaction ${txnNumber}: a newer one has begun.`);
    this.#sessions.set(key, session);
    return session;
  }
}

const keyOf = ({ id }: Document): string => id.toString("hex");
