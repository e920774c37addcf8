import { randomUUID } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { FaultKind, Faults } from "./faults.ts";
import { countRequest, type Requests } from "./requests.ts";

const MAX_BODY_BYTES = 16 * 1024 * 1024;

/** The JSON of a request or reply, with the names that the service gives its fields. */
export type Fields = Record<string, unknown>;

/** A service of AWS's that speaks JSON: what it does, and how it refuses. */
export type JsonService = {
  /** Answers one request, or throws. `gone` aborts when nobody waits for the answer any more. */
  execute(operation: string, input: Fields, gone: AbortSignal): Promise<Fields>;
  /** The error that a fault is answered with; none for those that break the connection. */
  faultError(kind: FaultKind | undefined, input: Fields): Error | undefined;
  /** The error for a body that is no JSON object. */
  malformed(message: string): Error;
  /** How an error is answered, whatever it is. */
  refusal(cause: unknown): { status: number; headers?: Record<string, string>; body: Fields };
};

/** Answers one request in AWS's JSON protocol. Rejects when its body does not arrive. */
export function createHandler(service: JsonService, faults: Faults, total: Requests) {
  return async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const hungUp = new AbortController();
    response.once("close", () => hungUp.abort());
    const body = await readBody(request);
    const operation = String(request.headers["x-amz-target"]).split(".").at(-1) ?? "";
    countRequest(total, operation, body.length);

    const fault = faults.next(operation);
    if (fault === "hang") return;
    if (fault === "drop-before") {
      request.socket.destroy();
      return;
    }
    const reply = await answer(service, async () => {
      const input = parse(service, body);
      const error = service.faultError(fault, input);
      if (error) throw error;
      return service.execute(operation, input, hungUp.signal);
    });
    if (fault === "drop-after") {
      request.socket.destroy();
      return;
    }
    const bytes = Buffer.byteLength(reply.body);
    total.bytesOut += bytes;
    response.writeHead(reply.status, {
      ...reply.headers,
      "content-type": "application/x-amz-json-1.0",
      "content-length": bytes,
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

function parse(service: JsonService, body: Buffer): Fields {
  try {
    const parsed: unknown = JSON.parse(body.toString());
    if (typeof parsed === "object" && parsed !== null && !Array.isArray(parsed)) return parsed as Fields;
  } catch {
    // Answered below.
  }
  throw service.malformed("The body is not a JSON object");
}

async function answer(service: JsonService, work: () => Promise<Fields>) {
  try {
    return { status: 200, headers: {}, body: JSON.stringify(await work()) };
  } catch (cause) {
    const { status, headers = {}, body } = service.refusal(cause);
    return { status, headers, body: JSON.stringify(body) };
  }
}
