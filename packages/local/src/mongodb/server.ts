import { once } from "node:events";
import { type AddressInfo, createServer, type Socket } from "node:net";
import type { Document } from "mongodb";
import { createFaults, type Fault, type Faults } from "../faults.ts";
import { countRequest, noRequests, type Requests } from "../requests.ts";
import { ClientSessions } from "./client-sessions.ts";
import { admin, commands } from "./commands.ts";
import { Cursors } from "./cursors.ts";
import { BlockedError, Engine } from "./engine.ts";
import { MongoServerFault, toFault, writeConflict } from "./errors.ts";
import { faultError, meetsRivals } from "./fault-error.ts";
import { sweepExpired } from "./time-to-live.ts";
import { type Message, takeMessages } from "./wire.ts";

/** What the driver asks to watch the server and to end its sessions; neither counted nor hit by faults. */
const HOUSEKEEPING = new Set(["hello", "ismaster", "isMaster", "endSessions"]);
const WRITES = new Set(["insert", "update", "delete", "findAndModify"]);
/** MongoDB's own: `transactionLifetimeLimitSeconds`, and how often expired documents are removed. */
const TRANSACTION_LIFETIME_MS = 60_000;
const SWEEP_EVERY_MS = 60_000;

export interface Mongo {
  /** A connection string. */
  url: string;
  /** Totals since the start; take two and subtract. */
  requests(): Requests;
  /** Makes requests fail, but what the driver asks to watch the server. Returns what lifts the fault again. */
  inject(fault: Fault): () => void;
  /** Ends open connections, finishes the write under way, releases the folder. */
  close(): Promise<void>;
}

export type MongoOptions = {
  /** Folder of the data, which outlives the process there, however that ends; in memory when absent. */
  path?: string;
  port?: number;
  transactionLifetimeMs?: number;
  /** How often documents that a TTL index says have expired are removed. */
  sweepEveryMs?: number;
};

/**
 * A MongoDB of our own on 127.0.0.1, for machines that have none: MongoDB's wire protocol as its driver speaks it, mingo's
 * queries and updates, and in between what we read in MongoDB's documentation about unique indexes, cursors, retryable writes
 * and transactions. **It encodes our own reading of MongoDB**: what passes on it is not proven for a real server, which is
 * why the same tests run against any `MONGODB_URI`.
 *
 * One primary of a replica set of one, without authentication. A number has a value and no type. Not there: collations,
 * partial, sparse, text and multikey indexes, change streams, `$jsonSchema`, `$out`, `$merge`; what would be needed for
 * them is refused by name. A write outside a transaction waits for one that is in its way; one inside is told WriteConflict.
 */
export async function startMongo(options: MongoOptions = {}): Promise<Mongo> {
  const engine = await Engine.open(options.path);
  const sessions = new ClientSessions(engine, options.transactionLifetimeMs ?? TRANSACTION_LIFETIME_MS);
  const faults = createFaults();
  const total = noRequests();
  const sockets = new Set<Socket>();
  const reception = { execute: createDispatch(engine, sessions), sessions, faults, total, address: "" };
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
    receive(socket, (message) => answer(reception, socket, message));
  });
  try {
    server.listen(options.port ?? 0, "127.0.0.1");
    await once(server, "listening");
  } catch (error) {
    await engine.close();
    throw error;
  }
  reception.address = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  const sweeping = setInterval(
    () => void sweepExpired(engine, Date.now()),
    options.sweepEveryMs ?? SWEEP_EVERY_MS,
  );
  sweeping.unref();

  let closing: Promise<void> | undefined;
  return {
    url: `mongodb://${reception.address}/?replicaSet=${REPLICA_SET}`,
    requests: () => structuredClone(total),
    inject: faults.inject,
    close() {
      clearInterval(sweeping);
      server.close();
      for (const socket of sockets) socket.destroy();
      sessions.close();
      closing ??= engine.close();
      return closing;
    },
  };
}

type Reception = {
  execute: (operation: string, body: Document) => Promise<Document>;
  sessions: ClientSessions;
  faults: Faults;
  total: Requests;
  address: string;
};

async function answer(reception: Reception, socket: Socket, message: Message): Promise<void> {
  const { execute, sessions, faults, total, address } = reception;
  const operation = Object.keys(message.command)[0] ?? "";
  if (HOUSEKEEPING.has(operation)) {
    const reply = operation === "endSessions" ? sessions.end(message.command[operation]) : hello(address);
    if (message.wantsReply) socket.write(message.reply(reply));
    return;
  }
  countRequest(total, operation, message.bytes);
  const fault = faults.next(operation, meetsRivals(operation, message.command));
  if (fault === "hang") return;
  if (fault === "drop-before") return void socket.destroy();
  const error = faultError(fault, message.command);
  const reply = error ? error.reply() : await execute(operation, message.command);
  if (fault === "drop-after") return void socket.destroy();
  if (!message.wantsReply) return;
  const bytes = message.reply(reply);
  total.bytesOut += bytes.length;
  socket.write(bytes);
}

/** Takes a client's messages, one after the other. */
function receive(socket: Socket, answerTo: (message: Message) => Promise<void>): void {
  let buffered: Buffer = Buffer.alloc(0);
  let answered: Promise<void> = Promise.resolve();
  socket.setNoDelay(true);
  socket.on("error", () => socket.destroy());
  socket.on("data", (chunk: Buffer) => {
    try {
      const { messages, rest } = takeMessages(Buffer.concat([buffered, chunk]));
      buffered = rest;
      for (const message of messages) {
        answered = answered.then(() => answerTo(message)).catch(() => void socket.destroy());
      }
    } catch {
      // Not what a MongoDB client sends.
      socket.destroy();
    }
  });
}

const REPLICA_SET = "parley";
let connections = 0;

const hello = (address: string): Document => ({
  helloOk: true,
  ismaster: true,
  isWritablePrimary: true,
  secondary: false,
  setName: REPLICA_SET,
  setVersion: 1,
  hosts: [address],
  primary: address,
  me: address,
  maxBsonObjectSize: 16_777_216,
  maxMessageSizeBytes: 48_000_000,
  maxWriteBatchSize: 100_000,
  localTime: new Date(),
  logicalSessionTimeoutMinutes: 30,
  connectionId: ++connections,
  minWireVersion: 0,
  // MongoDB 8.0.
  maxWireVersion: 25,
  readOnly: false,
  ok: 1,
});

function createDispatch(engine: Engine, sessions: ClientSessions) {
  const cursors = new Cursors();

  /** In one turn of the event loop, unless an open transaction is in the way: then again after its end. */
  async function runAlone(operation: string, body: Document): Promise<Document> {
    for (;;) {
      const transaction = engine.begin();
      try {
        const reply = commands[operation]?.({ ...contextOf(body), transaction }, body) as Document;
        await engine.commit(transaction);
        return reply;
      } catch (error) {
        engine.end(transaction);
        if (!(error instanceof BlockedError)) throw error;
        await error.ended;
      }
    }
  }

  /** As part of a client's transaction, which any error ends. */
  async function runWithin(operation: string, body: Document): Promise<Document> {
    const transaction = sessions.transaction(body);
    try {
      const command = Object.hasOwn(commands, operation) ? commands[operation] : undefined;
      if (!command)
        throw new MongoServerFault(263, `Cannot run '${operation}' in a multi-document transaction.`);
      const reply = command({ ...contextOf(body), transaction }, body);
      if (reply["writeErrors"] !== undefined) sessions.abort(body);
      return reply;
    } catch (error) {
      sessions.abort(body);
      throw error instanceof BlockedError ? writeConflict() : error;
    }
  }

  const contextOf = ({ $db: database }: Document) => ({
    engine,
    cursors,
    database,
    collection: (name: string) => engine.collection(`${database}.${name}`),
  });

  async function run(operation: string, body: Document): Promise<Document> {
    if (operation === "commitTransaction") return sessions.commit(body);
    if (operation === "abortTransaction") return sessions.abort(body);
    if (body["autocommit"] === false) return runWithin(operation, body);
    const administrate = Object.hasOwn(admin, operation) ? admin[operation] : undefined;
    if (administrate) return administrate(engine, body["$db"], body, cursors);
    if (!Object.hasOwn(commands, operation))
      throw new MongoServerFault(59, `no such command: '${operation}'`);
    const isRetryable = WRITES.has(operation) && body["txnNumber"] !== undefined;
    return isRetryable ? sessions.once(body, () => runAlone(operation, body)) : runAlone(operation, body);
  }

  return (operation: string, body: Document): Promise<Document> =>
    run(operation, body).catch((error: unknown) => toFault(error).reply());
}
