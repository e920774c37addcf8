import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { Fields } from "./dynalite.ts";
import { type Engine, openEngine } from "./engine.ts";
import { DynamoError, toDynamoError } from "./errors.ts";
import { createFaults, type Fault, type Faults, faultError } from "./faults.ts";
import { createTimeToLive } from "./time-to-live.ts";
import { createTransactions } from "./transactions.ts";

const MAX_BODY_BYTES = 16 * 1024 * 1024;

export interface Requests {
  /** Those that arrived, faults included. */
  count: number;
  /** Bytes of bodies, without headers. */
  bytesIn: number;
  bytesOut: number;
  /** Count by name, as in `{ PutItem: 2 }`. */
  byOperation: Record<string, number>;
}

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
  const total: Requests = { count: 0, bytesIn: 0, bytesOut: 0, byOperation: {} };
  const handle = createHandler({ execute: createDispatch(engine), faults, total });
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

type Execute = (operation: string, input: Fields) => Promise<Fields>;

/** What dynalite lacks is ours, and the rest is dynalite's. */
function createDispatch(engine: Engine): Execute {
  const transactions = createTransactions(engine);
  const timeToLive = createTimeToLive(engine);
  const own = new Map([
    ["TransactWriteItems", transactions.write],
    ["TransactGetItems", transactions.get],
    ["DescribeTimeToLive", timeToLive.describe],
    ["UpdateTimeToLive", timeToLive.update],
  ]);
  return (operation, input) => own.get(operation)?.(input) ?? engine.execute(operation, input);
}

function createHandler({ execute, faults, total }: { execute: Execute; faults: Faults; total: Requests }) {
  return async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const body = await readBody(request);
    const operation = String(request.headers["x-amz-target"]).split(".").at(-1) ?? "";
    total.count += 1;
    total.bytesIn += body.length;
    total.byOperation[operation] = (total.byOperation[operation] ?? 0) + 1;

    const fault = faults.next(operation);
    if (fault === "hang") return;
    if (fault === "drop-before") {
      request.socket.destroy();
      return;
    }
    const reply = await answer(async () => {
      const input = parseBody(body);
      const error = faultError(fault, input);
      if (error) throw error;
      return execute(operation, input);
    });
    if (fault === "drop-after") {
      request.socket.destroy();
      return;
    }
    total.bytesOut += Buffer.byteLength(reply.body);
    response.writeHead(reply.status, {
      "content-type": "application/x-amz-json-1.0",
      "content-length": Buffer.byteLength(reply.body),
      "x-amzn-requestid": randomUUID(),
    });
    response.end(reply.body);
  };
}

async function readBody(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > MAX_BODY_BYTES) throw new Error("request too large");
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function parseBody(body: Buffer): Fields {
  try {
    const parsed: unknown = JSON.parse(body.toString());
    if (typeof parsed === "object" && parsed !== null && !Array.isArray(parsed)) return parsed as Fields;
  } catch {
    // Answered below.
  }
  throw new DynamoError("SerializationException", "The body is not a JSON object");
}

async function answer(work: () => Promise<Fields>): Promise<{ status: number; body: string }> {
  try {
    return { status: 200, body: JSON.stringify(await work()) };
  } catch (cause) {
    const error = toDynamoError(cause);
    return { status: error.status, body: JSON.stringify(error.body()) };
  }
}
