import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { createHandler, type JsonService } from "../aws-json.ts";
import { createFaults, type Fault } from "../faults.ts";
import { noRequests, type Requests } from "../requests.ts";
import { type Engine, openEngine } from "./engine.ts";
import { DynamoError, toDynamoError } from "./errors.ts";
import { faultError } from "./fault-error.ts";
import { createTimeToLive } from "./time-to-live.ts";
import { createTransactions } from "./transactions.ts";

export interface Dynamo {
  url: string;
  /** Totals since the start; take two and subtract. */
  requests(): Requests;
  /** Makes requests fail. Returns what lifts the fault again. */
  inject(fault: Fault): () => void;
  /** Ends open connections, finishes the write under way, releases the folder. */
  close(): Promise<void>;
}

/**
 * DynamoDB on 127.0.0.1: dynalite with what it lacks, transactions above all.
 *
 * With a `path` the data outlives the process, however it ends; without, it is in memory. Throws one line when
 * another process has that folder open. Requests are not authenticated.
 *
 * Known to differ from Amazon's: conditions do not compare whole maps and lists (`=` is false for them), keys
 * with a lone surrogate are refused, strings in conditions are ordered by UTF-16 unit rather than by byte, and rivals
 * wait for each other instead of being cancelled.
 */
export async function startDynamo(options: { path?: string; port?: number } = {}): Promise<Dynamo> {
  const engine = await openEngine({ path: options.path });
  const faults = createFaults();
  const total = noRequests();
  const handle = createHandler(serviceOf(engine), faults, total);
  const server = createServer((request, response) => {
    // Only reading the body can fail: the client went away, or sends without end.
    handle(request, response).catch(() => request.socket.destroy());
  });
  // Longer than a client keeps an idle connection, so that none is closed under a request on its way.
  server.keepAliveTimeout = 60_000;
  try {
    server.listen(options.port ?? 0, "127.0.0.1");
    await once(server, "listening");
  } catch (error) {
    await engine.close();
    throw error;
  }

  let closing: Promise<void> | undefined;
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests: () => structuredClone(total),
    inject: faults.inject,
    close() {
      server.close();
      server.closeAllConnections();
      closing ??= engine.close();
      return closing;
    },
  };
}

/** What dynalite lacks is ours, and the rest is dynalite's. */
function serviceOf(engine: Engine): JsonService {
  const transactions = createTransactions(engine);
  const timeToLive = createTimeToLive(engine);
  const own = new Map([
    ["TransactWriteItems", transactions.write],
    ["TransactGetItems", transactions.get],
    ["DescribeTimeToLive", timeToLive.describe],
    ["UpdateTimeToLive", timeToLive.update],
  ]);
  return {
    execute: (operation, input) => own.get(operation)?.(input) ?? engine.execute(operation, input),
    faultError,
    malformed: (message) => new DynamoError("SerializationException", message),
    refusal(cause) {
      const error = toDynamoError(cause);
      return { status: error.status, body: error.body() };
    },
  };
}
