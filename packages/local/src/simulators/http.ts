import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { createFaults, type Fault, parseFault } from "./faults.ts";

export type HostRequest = {
  method: string;
  /** Without the query. */
  path: string;
  query: URLSearchParams;
  headers: IncomingHttpHeaders;
  body: string;
};

export type Reply = { status: number; headers?: Record<string, string>; body: string };

/** A request as it came in; secrets in headers and query are replaced by `[redacted]`. */
export type RecordedRequest = {
  at: number;
  method: string;
  /** With the query. */
  path: string;
  headers: Record<string, string>;
  body: string;
};

export type Host = {
  /** `http://127.0.0.1:{port}` */
  origin: string;
  /** The newest 200 requests, oldest first. Control requests are not among them. */
  requests: readonly RecordedRequest[];
  /** How many requests have come in since the start or the last `reset`. */
  total(): number;
  /** Returns what removes the fault again. */
  inject(fault: Fault): () => void;
  /** Forgets faults and recorded requests. */
  reset(): void;
  close(): Promise<void>;
};

/** In milliseconds; each request may have its own. */
export type Latency = number | ((request: HostRequest) => number);

export type HostOptions = {
  /** 0 or absent: any free port. */
  port?: number | undefined;
  /** Waited before every answer. */
  latencyMs?: Latency | undefined;
  answer(request: HostRequest): Reply;
  /** An injected error as this protocol words it. */
  fail(error: { status: number; code?: string | number; message?: string }): Reply;
  /** A 200 whose body does not parse. */
  malformed: Reply;
};

const RECORDED = 200;
const RECORDED_BODY = 256 * 1024;
const MAX_BODY = 8 * 1024 * 1024;
const SECRET_HEADERS = new Set(["authorization", "proxy-authorization", "cookie", "x-api-key", "api-key"]);
const CONTROL = "/_control/";

export function json(status: number, value: unknown, headers: Record<string, string> = {}): Reply {
  return { status, headers: { "content-type": "application/json", ...headers }, body: JSON.stringify(value) };
}

/**
 * An HTTP server on 127.0.0.1 that answers with `answer`, remembers what it was asked and fails on demand:
 * in process through `inject`, from outside by `POST /_control/faults` (a fault as JSON; `GET` lists, `DELETE`
 * clears) and `GET /_control/requests`. Rejects with the listen error, such as `EADDRINUSE`.
 */
export async function startHost(options: HostOptions): Promise<Host> {
  const faults = createFaults();
  const requests: RecordedRequest[] = [];
  const closing = new AbortController();
  let total = 0;

  function record(request: HostRequest, target: string): void {
    total += 1;
    requests.push({
      at: Date.now(),
      method: request.method,
      path: target.replace(/([?&](?:key|apikey|token|api_key)=)[^&]*/gi, "$1[redacted]"),
      headers: redacted(request.headers),
      body: request.body.slice(0, RECORDED_BODY),
    });
    if (requests.length > RECORDED) requests.shift();
  }

  function reset(): void {
    faults.clear();
    requests.length = 0;
    total = 0;
  }

  async function serve(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const target = incoming.url ?? "/";
    const body = await readBody(incoming);
    if (body === undefined)
      return send(response, options.fail({ status: 413, message: "The body is too large." }));
    const url = new URL(target, "http://127.0.0.1");
    const request: HostRequest = {
      method: incoming.method ?? "GET",
      path: url.pathname,
      query: url.searchParams,
      headers: incoming.headers,
      body,
    };
    if (request.path.startsWith(CONTROL)) return send(response, control(request));
    record(request, target);
    const fault = faults.take(request);
    const { latencyMs = 0 } = options;
    const latency = typeof latencyMs === "number" ? latencyMs : latencyMs(request);
    const wait = latency + (fault?.delayMs ?? 0);
    if (wait > 0) await sleep(wait, undefined, { signal: closing.signal });
    if (fault?.hang) return;
    if (fault?.malformed) return send(response, options.malformed);
    if (fault !== undefined && isError(fault)) return send(response, failure(fault));
    const reply = options.answer(request);
    if (fault?.cut) return cut(response, reply);
    return send(response, reply);
  }

  function failure(fault: Fault): Reply {
    const { code, message, retryAfterSeconds } = fault;
    const reply = options.fail({
      status: fault.status ?? 500,
      ...(code === undefined ? {} : { code }),
      ...(message === undefined ? {} : { message }),
    });
    if (retryAfterSeconds === undefined) return reply;
    return { ...reply, headers: { ...reply.headers, "retry-after": String(retryAfterSeconds) } };
  }

  function control({ method, path, body }: HostRequest): Reply {
    if (path === "/_control/requests" && method === "GET") return json(200, { total, requests });
    if (path !== "/_control/faults")
      return json(404, { error: "try /_control/faults or /_control/requests" });
    try {
      if (method === "POST") faults.add(parseFault(JSON.parse(body)));
      else if (method === "DELETE") faults.clear();
      else if (method !== "GET")
        return json(405, { error: "GET, POST or DELETE" }, { allow: "GET, POST, DELETE" });
    } catch (error) {
      return json(400, { error: error instanceof Error ? error.message : String(error) });
    }
    return json(200, { faults: faults.list() });
  }

  const server = createServer((incoming, response) => {
    serve(incoming, response).catch((error: unknown) => {
      if (closing.signal.aborted || response.headersSent || response.destroyed) response.destroy();
      else send(response, options.fail({ status: 500, message: `The simulator failed: ${String(error)}` }));
    });
  });
  // Longer than clients keep an idle connection, or they meet it closing.
  server.keepAliveTimeout = 65_000;
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(options.port ?? 0, "127.0.0.1", resolve);
  });

  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    total: () => total,
    inject: (fault) => faults.add(fault),
    reset,
    close: () =>
      new Promise((resolve) => {
        closing.abort();
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function isError({ status, code, message, retryAfterSeconds }: Fault): boolean {
  return [status, code, message, retryAfterSeconds].some((each) => each !== undefined);
}

function redacted(headers: IncomingHttpHeaders): Record<string, string> {
  return Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [
      name,
      SECRET_HEADERS.has(name) ? "[redacted]" : String(value),
    ]),
  );
}

/** `undefined` when there is more of it than a simulator is willing to hold. */
async function readBody(incoming: IncomingMessage): Promise<string | undefined> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of incoming as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size <= MAX_BODY) chunks.push(chunk);
  }
  return size <= MAX_BODY ? Buffer.concat(chunks).toString("utf8") : undefined;
}

function head(response: ServerResponse, reply: Reply): Buffer {
  const body = Buffer.from(reply.body, "utf8");
  const bodiless = reply.status === 204 || reply.status === 304;
  response.writeHead(reply.status, {
    ...reply.headers,
    ...(bodiless ? {} : { "content-length": String(body.length) }),
  });
  return body;
}

function send(response: ServerResponse, reply: Reply): void {
  response.end(head(response, reply));
}

function cut(response: ServerResponse, reply: Reply): void {
  const body = head(response, reply);
  response.write(body.subarray(0, Math.ceil(body.length / 2)), () => response.destroy());
}
