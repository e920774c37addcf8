import { randomUUID } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import { text } from "node:stream/consumers";
import type { FaultKind, Faults } from "../dynamodb/faults.ts";
import type { Fields } from "./fauxqs.ts";
import { SqsError } from "./fauxqs.ts";
import type { Execute } from "./operations.ts";

/** Those that arrived, faults included; by name, as in `{ SendMessage: 2 }`. */
export type Requests = { count: number; byOperation: Record<string, number> };

/** Answers one request in SQS's JSON protocol. Rejects when its body does not arrive. */
export function createHandler({
  execute,
  faults,
  total,
}: {
  execute: Execute;
  faults: Faults;
  total: Requests;
}) {
  return async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const hungUp = new AbortController();
    response.once("close", () => hungUp.abort());
    const body = await text(request);
    const operation = String(request.headers["x-amz-target"]).split(".").at(-1) ?? "";
    total.count += 1;
    total.byOperation[operation] = (total.byOperation[operation] ?? 0) + 1;

    const fault = faults.next(operation);
    if (fault === "hang") return;
    if (fault === "drop-before") {
      request.socket.destroy();
      return;
    }
    const reply = await answer(() => {
      refuse(fault);
      return execute(operation, parse(body), hungUp.signal);
    });
    if (fault === "drop-after") {
      request.socket.destroy();
      return;
    }
    response.writeHead(reply.status, {
      ...reply.headers,
      "content-type": "application/x-amz-json-1.0",
      "content-length": Buffer.byteLength(reply.body),
      "x-amzn-requestid": randomUUID(),
    });
    response.end(reply.body);
  };
}

function refuse(fault: FaultKind | undefined): void {
  if (fault === "throttle") throw new SqsError("RequestThrottled", "The request is throttled");
  if (fault === "error") throw new SqsError("InternalError", "Internal server error", 500, false);
}

function parse(body: string): Fields {
  try {
    const parsed: unknown = JSON.parse(body);
    if (typeof parsed === "object" && parsed !== null && !Array.isArray(parsed)) return parsed as Fields;
  } catch {
    // Answered below.
  }
  throw new SqsError("SerializationException", "The body is not a JSON object");
}

/** The codes that SQS words with its prefix in the header for older clients. fauxqs does so with all, which hides them. */
const PREFIX = "AWS.SimpleQueueService.";
const PREFIXED = new Set([
  "BatchEntryIdsNotDistinct",
  "BatchRequestTooLong",
  "EmptyBatchRequest",
  "InvalidBatchEntryId",
  "MessageNotInflight",
  "NonExistentQueue",
  "PurgeQueueInProgress",
  "TooManyEntriesInBatchRequest",
]);

function queryError(header: string): string {
  const [code = "", fault = "Sender"] = header.replace(PREFIX, "").split(";");
  return `${PREFIXED.has(code) ? PREFIX : ""}${code};${fault}`;
}

type Reply = { status: number; headers: Record<string, string>; body: string };

async function answer(work: () => Promise<Fields>): Promise<Reply> {
  try {
    return { status: 200, headers: {}, body: JSON.stringify(await work()) };
  } catch (cause) {
    const message = cause instanceof Error ? cause.message : String(cause);
    const error = cause instanceof SqsError ? cause : new SqsError("InternalError", message, 500, false);
    return {
      status: error.statusCode,
      headers: { "x-amzn-query-error": queryError(error.queryErrorHeader) },
      body: JSON.stringify(error.toJSON()),
    };
  }
}
