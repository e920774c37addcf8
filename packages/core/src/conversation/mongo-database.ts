import { type ClientSession, type Collection, type Db, type MongoClient, MongoError } from "mongodb";
import { AppError } from "../error.ts";
import { deadlineExceeded } from "../resilience/deadline.ts";
import type { ConversationDocument, SessionDocument, TurnDocument } from "./mongo-documents.ts";
import { checkIndexes } from "./mongo-schema.ts";
import { storeUnavailable, wait } from "./rivals.ts";

const DUPLICATE_KEY = 11_000;
const WRITE_CONFLICT = 112;
/** A transaction whose connection breaks or whose primary goes away is tried so often; the driver repeats none itself. */
const MAX_FAILURES = 4;
/** The driver sends each twice already. */
const MAX_COMMITS = 2;

/** What a transaction comes to: it is committed, or nothing of it happened. */
export type Outcome = { commit: boolean };

/**
 * One database: transactions in which rivals are waited for, and whatever goes wrong is an AppError: unavailable, or
 * deadline_exceeded when the signal ended it. The driver takes a signal for reads alone, so what the signal ends goes on
 * unheard, until the client's own time limits.
 */
export class MongoDatabase {
  readonly db: Db;
  readonly conversations: Collection<ConversationDocument>;
  readonly turns: Collection<TurnDocument>;
  readonly sessions: Collection<SessionDocument>;
  readonly #client: MongoClient;
  #checked: Promise<void> | undefined;

  constructor({ client, database }: { client: MongoClient; database: string }) {
    this.#client = client;
    this.db = client.db(database);
    this.conversations = this.db.collection("conversations");
    this.turns = this.db.collection("turns");
    this.sessions = this.db.collection("sessions");
  }

  /** Sees once that the indexes are there. @throws AppError failed_precondition */
  async checkIndexes(signal?: AbortSignal): Promise<void> {
    this.#checked ??= checkIndexes(this.db).catch((error: unknown) => {
      this.#checked = undefined;
      throw error;
    });
    const checked = this.#checked;
    await this.run(() => checked, signal);
  }

  async run<T>(work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    if (signal?.aborted) throw deadlineExceeded(signal.reason);
    try {
      return await unlessAborted(work(), signal);
    } catch (cause) {
      if (cause instanceof AppError) throw cause;
      if (signal?.aborted) throw deadlineExceeded(cause);
      throw storeUnavailable(cause);
    }
  }

  /** For what may be done twice and the driver does not repeat by itself: a write to many documents, a ping. */
  runAgain<T>(work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    const again = (error: unknown) => {
      if (error instanceof MongoError) return work();
      throw error;
    };
    return this.run(() => work().catch(again), signal);
  }

  /**
   * All of `work` or nothing of it; nothing as well when it says so. It runs again when a rival was faster.
   *
   *   A: begin, writes X             commit
   *   B: begin,          writes X -> conflict, waits, begin again
   *
   * Who dies in between holds X until MongoDB ends the transaction, after 60 s (`transactionLifetimeLimitSeconds`); rivals
   * are told unavailable or deadline_exceeded for so long, and nothing of it is ever seen.
   */
  transact<T extends Outcome>(
    work: (session: ClientSession) => Promise<T>,
    signal?: AbortSignal,
  ): Promise<T> {
    return this.run(async () => {
      for (let lost = 0, failures = 0; ; lost++) {
        const session = this.#client.startSession();
        try {
          session.startTransaction();
          const outcome = await work(session);
          signal?.throwIfAborted();
          if (outcome.commit) await commit(session);
          return outcome;
        } catch (error) {
          if (!hasLabel(error, "TransientTransactionError")) throw error;
          if (codeOf(error) !== WRITE_CONFLICT && ++failures === MAX_FAILURES) throw error;
        } finally {
          // Aborts what was not committed.
          await session.endSession();
        }
        await wait(lost, signal);
      }
    }, signal);
  }
}

/** Sent again until it is known what became of it: who gave up would not know whether the turn is there. */
async function commit(session: ClientSession): Promise<void> {
  for (let tries = 1; ; tries++) {
    try {
      await session.commitTransaction();
      return;
    } catch (error) {
      if (!hasLabel(error, "UnknownTransactionCommitResult") || tries === MAX_COMMITS) throw error;
    }
  }
}

/** Undefined when a unique index has that key already. */
export async function unlessDuplicate<T>(write: Promise<T>): Promise<T | undefined> {
  try {
    return await write;
  } catch (error) {
    if (codeOf(error) === DUPLICATE_KEY) return undefined;
    throw error;
  }
}

function unlessAborted<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (!signal) return work;
  return new Promise((resolve, reject) => {
    const abort = () => reject(deadlineExceeded(signal.reason));
    signal.addEventListener("abort", abort, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener("abort", abort));
  });
}

const codeOf = (error: unknown) => (error instanceof MongoError ? error.code : undefined);
const hasLabel = (error: unknown, label: string) => error instanceof MongoError && error.hasErrorLabel(label);
