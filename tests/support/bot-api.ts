import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { type BotApi, type BotApiOptions, startBotApi } from "@parley/local/telegram/server";

export const TOKEN = "4242:test-token";
export const BOT = { token: TOKEN, username: "test_bot", first_name: "Test" };

// biome-ignore lint/suspicious/noExplicitAny: an answer of the Bot API is whatever the test expects it to be.
export type Json = any;

export type TestBotApi = BotApi & {
  /** Calls a method with a JSON body; resolves with the whole answer. */
  call(method: string, params?: object, token?: string): Promise<Json>;
};

/** A local Bot API with one bot and no rate limits, unless options say otherwise. */
export async function startTestBotApi(options: BotApiOptions = {}): Promise<TestBotApi> {
  const api = await startBotApi({ bots: [BOT], rateLimits: false, ...options });
  return {
    ...api,
    async call(method, params = {}, token = TOKEN) {
      const response = await fetch(`${api.url}/bot${token}/${method}`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify(params),
      });
      return await response.json();
    },
  };
}

export type Delivery = { at: number; headers: IncomingHttpHeaders; update: Json };

export type WebhookServer = {
  url: string;
  /** In the order of their arrival. */
  deliveries: Delivery[];
  /** Resolves when that many have come in. */
  received(count: number): Promise<Delivery[]>;
  close(): Promise<void>;
};

export type WebhookAnswer = { status?: number; headers?: Record<string, string>; body?: string } | undefined;

/** An HTTP server that answers updates as `answer` says: by default 200, or nothing at all for null. */
export async function startWebhookServer(
  answer: (delivery: Delivery, nth: number) => WebhookAnswer | null | Promise<WebhookAnswer | null> = () =>
    undefined,
): Promise<WebhookServer> {
  const deliveries: Delivery[] = [];
  const waiting = new Set<() => void>();

  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
    const update: Json = JSON.parse(Buffer.concat(chunks).toString("utf8"));
    const delivery = { at: performance.now(), headers: request.headers, update };
    deliveries.push(delivery);
    for (const wake of waiting) wake();
    const reply = await answer(delivery, deliveries.length);
    if (reply === null) return;
    response.writeHead(reply?.status ?? 200, { "content-type": "application/json", ...reply?.headers });
    response.end(reply?.body);
  }

  const server = createServer((request, response) => {
    handle(request, response).catch(() => response.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/webhook`,
    deliveries,
    async received(count) {
      while (deliveries.length < count) {
        await new Promise<void>((resolve) => {
          const wake = () => {
            waiting.delete(wake);
            resolve();
          };
          waiting.add(wake);
        });
      }
      return deliveries;
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
