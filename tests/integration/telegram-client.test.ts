import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { inspect } from "node:util";
import { TelegramClient } from "@parley/core/telegram/api";
import { afterEach, describe, expect, test } from "vitest";
import { startTestBotApi, TOKEN } from "../support/bot-api.ts";

/** What a send is told to have become of it, whatever answers there. */

const closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).toReversed()) await close();
});

const part = { text: "Hello!", entities: [] };
const send = (apiRoot: string, signal = AbortSignal.timeout(5_000)) =>
  new TelegramClient({ token: TOKEN }, apiRoot).send({ place: { chat: 7, thread: undefined }, part }, signal);

async function listen(server: Server): Promise<string> {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  closing.push(() => {
    server.close();
    server.closeAllConnections();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** Something at the Bot API's address that answers everything like this. */
const answering = (status: number, body: string, type = "application/json") =>
  listen(
    createServer((_request, response) => response.writeHead(status, { "content-type": type }).end(body)),
  );

const refusal = (code: number, description: string, parameters?: object) =>
  JSON.stringify({ ok: false, error_code: code, description, ...(parameters && { parameters }) });

describe("an answer", () => {
  test.each<[number, string, object]>([
    [200, JSON.stringify({ ok: true, result: { message_id: 12 } }), { outcome: "sent", messageId: 12 }],
    [
      429,
      refusal(429, "Too Many Requests: retry after 8", { retry_after: 8 }),
      { outcome: "later", retryAfterS: 8 },
    ],
    [429, refusal(429, "Too Many Requests"), { outcome: "later", retryAfterS: 1 }],
    [403, refusal(403, "Forbidden: bot was blocked by the user"), { outcome: "forbidden" }],
    [403, refusal(403, "Forbidden: user is deactivated"), { outcome: "forbidden" }],
    [
      400,
      refusal(400, "Bad Request: group chat was upgraded to a supergroup chat", { migrate_to_chat_id: -100 }),
      { outcome: "migrated", to: -100 },
    ],
    [
      400,
      refusal(400, "Bad Request: can't parse entities: Unsupported start tag"),
      { outcome: "unparseable" },
    ],
    [400, refusal(400, "Bad Request: ENTITIES_TOO_LONG"), { outcome: "unparseable" }],
    [400, refusal(400, "Bad Request: Entity URL 'a' is invalid: it has no host"), { outcome: "unparseable" }],
    [
      400,
      refusal(400, "Bad Request: message is too long"),
      { outcome: "refused", reason: "400 Bad Request: message is too long" },
    ],
    [401, refusal(401, "Unauthorized"), { outcome: "refused", reason: "401 Unauthorized" }],
    [500, refusal(500, "Internal Server Error"), { outcome: "uncertain", reason: "500" }],
    [502, refusal(502, "Bad Gateway"), { outcome: "uncertain", reason: "502" }],
  ])("%i %s", async (status, body, outcome) => {
    expect(await send(await answering(status, body))).toEqual(outcome);
  });

  test.each([
    [502, "<html>Bad Gateway</html>", "text/html"],
    [200, '{"ok":tr', "application/json"],
    [204, "", "text/plain"],
    // A gateway's, not Telegram's: it says nothing of what became of the message behind it.
    [503, '{"message":"Service Unavailable"}', "application/json"],
    [200, '{"message_id":12}', "application/json"],
  ])("that is none of the Bot API's (%i %s) leaves it uncertain", async (status, body, type) => {
    const apiRoot = await answering(status, body, type);
    expect(await send(apiRoot)).toMatchObject({ outcome: "uncertain" });
  });
});

describe("no answer", () => {
  test("because the connection was never made: it was not sent", async () => {
    const server = createServer();
    const apiRoot = await listen(server);
    server.close();
    await once(server, "close");
    expect(await send(apiRoot)).toEqual({ outcome: "later", retryAfterS: 1 });
    // Both of its addresses refuse.
    expect(await send(apiRoot.replace("127.0.0.1", "localhost"))).toEqual({
      outcome: "later",
      retryAfterS: 1,
    });
    expect(await send("http://no-such-host.invalid")).toEqual({ outcome: "later", retryAfterS: 1 });
  });

  test("because the connection broke, or time was over: nobody knows", async () => {
    const broken = await listen(createServer((request) => request.socket.destroy()));
    expect(await send(broken)).toMatchObject({ outcome: "uncertain" });
    const silent = await listen(createServer(() => {}));
    expect(await send(silent, AbortSignal.timeout(50))).toEqual({
      outcome: "uncertain",
      reason: "AbortError",
    });
  });
});

test("a connection that died while nobody used it costs no message", async () => {
  const sockets = new Set<unknown>();
  const apiRoot = await listen(
    createServer((request, response) => {
      // Lambda froze the process after the first answer; meanwhile whatever was open has gone, and nobody was told.
      if (sockets.has(request.socket)) return void request.socket.destroy();
      sockets.add(request.socket);
      response.end(JSON.stringify({ ok: true, result: { message_id: sockets.size } }));
    }),
  );
  const client = new TelegramClient({ token: TOKEN }, apiRoot);
  const message = { place: { chat: 7, thread: undefined }, part };
  for (let messageId = 2; messageId <= 10; messageId += 2) {
    const signal = AbortSignal.timeout(5_000);
    await client.typing(message.place, signal);
    expect(await client.send(message, signal)).toEqual({ outcome: "sent", messageId });
  }
});

test("a failure to show typing is of no consequence", async () => {
  for (const body of [refusal(403, "Forbidden: bot was blocked by the user"), "null", "<html>"]) {
    const client = new TelegramClient({ token: TOKEN }, await answering(400, body));
    await client.typing({ chat: 7, thread: undefined }, AbortSignal.timeout(5_000));
  }
});

test("the token is in no outcome and no error, whatever fails", async () => {
  const api = await startTestBotApi();
  closing.push(api.close);
  const roots = [
    api.url,
    `${api.url}/elsewhere`,
    "http://no-such-host.invalid",
    "http://[",
    "no address at all",
    "ftp://127.0.0.1",
    await answering(200, "null"),
    await answering(200, '{"ok":true}'),
    await answering(404, "<html>"),
    await listen(createServer((request) => request.socket.destroy())),
  ];
  for (const root of roots) {
    const outcome = await send(root).catch((error: unknown) => error);
    const shown = inspect(outcome, { depth: Number.POSITIVE_INFINITY, showHidden: true });
    expect(shown).not.toContain("test-token");
    const warned = outcome instanceof Error ? `${outcome.stack} ${JSON.stringify(outcome)}` : "";
    expect(warned).not.toContain("test-token");
  }
});
