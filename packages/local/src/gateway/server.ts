import { randomBytes } from "node:crypto";
import { once } from "node:events";
import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { ACCOUNT_ID, createFunction, type FunctionOptions } from "./function.ts";
import { splitUrl, toEvent } from "./http-event.ts";
import type { HttpResult } from "./http-result.ts";
import { toHttpResult } from "./http-result.ts";
import type { FunctionLog, Pool } from "./pool.ts";
import type { Outcome } from "./protocol.ts";
import type { Route } from "./route-table.ts";
import { matchRoute } from "./route-table.ts";

/** One line a request, when it has been answered. `coldStartMs` is there when an instance was started for it. */
export type RequestLog = {
  type: "request";
  method: string;
  path: string;
  status: number;
  durationMs: number;
  requestId: string;
  functionName?: string;
  coldStartMs?: number;
};

export type GatewayLog = FunctionLog | RequestLog;

export type GatewayOptions = {
  routes: readonly Route[];
  /** file: URL of the folder that the routes' entries are relative to, ending in a slash. */
  taskRoot: URL;
  /** The functions' whole environment, beside what Lambda itself sets. */
  env: Record<string, string>;
  port?: number;
  log?: (entry: GatewayLog) => void;
  /** Limit of one invocation, and of a request's wait for its turn. */
  timeoutMs?: number;
  maxInstances?: number;
  memoryMb?: number;
  /** What is different for one route's function. */
  each?: (route: Route) => Partial<FunctionOptions>;
};

export type Gateway = {
  url: string;
  /** Starts an instance of the named function ahead of its first request. */
  warm(functionName: string): void;
  /** Fresh instances, and if given fresh routes, for every request from now on; those under way finish as they are. */
  reload(routes?: readonly Route[]): void;
  close(): Promise<void>;
};

/** API Gateway's limit on a request's body, in bytes. */
const MAX_BODY_BYTES = 10 * 1024 * 1024;

/** An HTTP API of API Gateway with Lambda-like functions behind it, on 127.0.0.1. Rejects when the port is taken. */
export async function startGateway(options: GatewayOptions): Promise<Gateway> {
  const log = options.log ?? (() => {});
  const pools = new Map<string, Pool>();
  let routes = options.routes;

  function poolOf(route: Route): Pool {
    const key = `${route.name} ${route.entry}`;
    const { name, entry } = route;
    const pool = pools.get(key) ?? createFunction({ ...options, name, entry, ...options.each?.(route) });
    pools.set(key, pool);
    return pool;
  }

  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const startedAt = performance.now();
    const requestId = randomBytes(11).toString("base64");
    const method = request.method ?? "GET";
    const [path] = splitUrl(request.url ?? "/");
    const match = matchRoute(routes, method, path);
    const body = await readBody(request);
    let result = match === undefined ? problem(404, "Not Found") : problem(413, "Request Entity Too Large");
    let coldStartMs: number | undefined;
    if (match !== undefined && body !== undefined) {
      const { remoteAddress, localPort } = request.socket;
      const { url, httpVersion, headersDistinct } = request;
      const event = toEvent(
        { method, url, httpVersion, headersDistinct, remoteAddress, localPort, body },
        match,
        { accountId: ACCOUNT_ID, apiId: "local", requestId, now: new Date() },
      );
      const traceId = event.headers["x-amzn-trace-id"] ?? "";
      const completion = await poolOf(match.route).invoke(JSON.stringify(event), traceId);
      coldStartMs = completion.coldStartMs;
      result = answerOf(completion.outcome);
    }
    send(response, result, requestId);
    log({
      type: "request",
      method,
      path,
      status: result.status,
      durationMs: performance.now() - startedAt,
      requestId,
      ...(match === undefined ? {} : { functionName: match.route.name }),
      ...(coldStartMs === undefined ? {} : { coldStartMs }),
    });
  }

  const server = createServer((request, response) => {
    // All that can reject is the client's own connection breaking in mid-body; there is nobody left to answer.
    handle(request, response).catch(() => response.destroy());
  });
  // Longer than clients keep an idle connection, or they meet it closing.
  server.keepAliveTimeout = 65_000;
  server.listen(options.port ?? 0, "127.0.0.1");
  await once(server, "listening");

  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    warm(functionName) {
      const route = routes.find(({ name }) => name === functionName);
      if (route !== undefined) poolOf(route).warm();
    },
    reload(newRoutes = routes) {
      routes = newRoutes;
      for (const pool of pools.values()) pool.recycle();
    },
    async close() {
      const closed = once(server, "close");
      server.close();
      server.closeAllConnections();
      await Promise.all([closed, ...[...pools.values()].map((pool) => pool.close())]);
    },
  };
}

function answerOf(outcome: Outcome): HttpResult {
  if (outcome.kind === "timeout") return problem(503, "Service Unavailable");
  const result = outcome.kind === "result" ? toHttpResult(outcome.payload) : undefined;
  return result ?? problem(500, "Internal Server Error");
}

function problem(status: number, message: string): HttpResult {
  const body = Buffer.from(JSON.stringify({ message }));
  return { status, headers: { "content-type": "application/json" }, body };
}

function send(response: ServerResponse, { status, headers, body }: HttpResult, requestId: string): void {
  const hasBody = status !== 204 && status !== 304;
  response.writeHead(status, {
    ...headers,
    "apigw-requestid": requestId,
    ...(hasBody ? { "content-length": body.length } : {}),
  });
  response.end(hasBody ? body : undefined);
}

/** The whole body, or undefined when it is over the limit (the rest is read and dropped, so the client can listen). */
async function readBody(request: IncomingMessage): Promise<Buffer | undefined> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size <= MAX_BODY_BYTES) chunks.push(chunk);
    else chunks.length = 0;
  }
  return size > MAX_BODY_BYTES ? undefined : Buffer.concat(chunks);
}
