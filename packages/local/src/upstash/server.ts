import { createHash, timingSafeEqual } from "node:crypto";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { createGateway, type GatewayRequest, MAX_BODY_BYTES } from "./gateway.ts";
import { renderError } from "./reply.ts";
import { connectResp } from "./resp.ts";

export interface UpstashOptions {
  /** The Redis to serve; it stays its owner's to close. */
  backend: { redisUrl: string };
  /** The bearer token that clients must send. */
  token: string;
  /** Default: a free one. */
  port?: number;
}

/**
 * A fault to act out on every request until it is set back to undefined: `refuse` destroys connections,
 * `hang` never answers, `cut` runs the commands and drops the connection instead of answering,
 * `slow:50` waits 50 ms before it runs them.
 */
export type Fault = "refuse" | "hang" | "cut" | `slow:${number}`;

/** HTTP requests, and the bytes of their connections as seen from the server. */
export interface Traffic {
  count: number;
  bytesIn: number;
  bytesOut: number;
}

export interface UpstashGateway {
  readonly url: string;
  readonly token: string;
  fault: Fault | undefined;
  /** All traffic since the gateway was created. */
  requests(): Traffic;
  /** Drops every connection and stops listening: Redis is gone until `start`. */
  stop(): Promise<void>;
  /** Listens again on the same port. */
  start(): Promise<void>;
  close(): Promise<void>;
}

const METHODS = new Set(["GET", "HEAD", "POST", "PUT"]);

/** Serves a Redis on 127.0.0.1 by the Upstash REST protocol. Rejects when the port is taken. */
export async function startUpstash({ backend, token, port = 0 }: UpstashOptions): Promise<UpstashGateway> {
  const connection = connectResp(backend.redisUrl);
  const answer = createGateway(connection);
  let fault: Fault | undefined;
  let syncToken = 0;

  async function respond(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const active = fault;
    if (active === "refuse") return void request.socket.destroy();
    if (active === "hang") return;
    if (active?.startsWith("slow:")) await delay(Number(active.slice("slow:".length)));
    if (request.socket.destroyed) return;
    if (!isAuthorized(request, token))
      return send(response, 401, renderError("WRONGPASS invalid or missing auth token"));
    if (!METHODS.has(request.method ?? "")) return send(response, 405, renderError("ERR method not allowed"));
    const { status, body } = await answer(await readRequest(request));
    if (active === "cut") return void request.socket.destroy();
    syncToken += 1;
    response.setHeader("upstash-sync-token", syncToken);
    send(response, status, body);
  }

  const server = createServer((request, response) => {
    // A client that leaves half way breaks the reading of its body: there is nobody left to answer.
    respond(request, response).catch(() => request.socket.destroy());
  });
  server.keepAliveTimeout = 65_000; // longer than clients keep an idle connection, or they meet it closing
  server.on("connection", (socket) => fault === "refuse" && socket.destroy());
  const meter = createMeter(server);

  const boundPort = await listen(server, port).catch((error: unknown) => {
    connection.close();
    throw error;
  });
  return {
    url: `http://127.0.0.1:${boundPort}`,
    token,
    get fault() {
      return fault;
    },
    set fault(next) {
      fault = next;
    },
    requests: meter.read,
    stop: meter.stop,
    start: async () => void (await listen(server, boundPort)),
    close: async () => {
      await meter.stop();
      connection.close();
    },
  };
}

function createMeter(server: Server): { read(): Traffic; stop(): Promise<void> } {
  const sockets = new Set<Socket>();
  const past: Traffic = { count: 0, bytesIn: 0, bytesOut: 0 };
  const add = (total: Traffic, socket: Socket): Traffic => {
    total.bytesIn += socket.bytesRead;
    total.bytesOut += socket.bytesWritten;
    return total;
  };
  server.on("request", () => {
    past.count += 1;
  });
  server.on("connection", (socket) => {
    sockets.add(socket);
    socket.once("close", () => {
      sockets.delete(socket);
      add(past, socket);
    });
  });
  return {
    read: () => [...sockets].reduce(add, { ...past }),
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
  };
}

function listen(server: Server, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, "127.0.0.1", () => {
      server.off("error", reject);
      resolve((server.address() as AddressInfo).port);
    });
  });
}

// Digests make both sides equally long, which timingSafeEqual wants, and hide the token's length.
function isAuthorized(request: IncomingMessage, token: string): boolean {
  const digest = (text: string) => createHash("sha256").update(text).digest();
  return timingSafeEqual(digest(request.headers.authorization ?? ""), digest(`Bearer ${token}`));
}

// A body that is too large is read to its end, so that the client gets to see the answer, but not kept.
async function readRequest(request: IncomingMessage): Promise<GatewayRequest> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size <= MAX_BODY_BYTES) chunks.push(chunk);
  }
  const encoding = request.headers["upstash-encoding"] === "base64" ? "base64" : "utf8";
  const body = Buffer.concat(chunks).toString();
  return { url: new URL(request.url ?? "/", "http://localhost"), body, size, encoding };
}

function send(response: ServerResponse, status: number, body: string): void {
  response.writeHead(status, { "content-type": "application/json" }).end(body);
}
