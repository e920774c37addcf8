import { once } from "node:events";
import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { json } from "node:stream/consumers";
import { AskError, createClient } from "@parley/local/client";
import { afterEach, expect, test } from "vitest";

type Body = { message: string; session_metadata: { platform: string; user_id: string; chat_id: string } };
type Seen = { url: string | undefined; key: string | string[] | undefined; body: Body };
type Act = (response: ServerResponse, request: IncomingMessage) => void;

const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0)) close();
});

/** A server that acts in turn, the last act from then on. */
async function serve(...acts: Act[]) {
  const seen: Seen[] = [];
  const server = createServer(async (request, response) => {
    seen.push({
      url: request.url,
      key: request.headers["idempotency-key"],
      body: (await json(request)) as Body,
    });
    acts[Math.min(seen.length, acts.length) - 1]?.(response, request);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  closers.push(() => {
    server.close();
    server.closeAllConnections();
  });
  return { seen, client: createClient(`http://127.0.0.1:${(server.address() as AddressInfo).port}`) };
}

const reply = (status: number, body: unknown) => (response: ServerResponse) => {
  response.writeHead(status, { "content-type": "application/json" });
  response.end(JSON.stringify(body));
};
const drop: Act = (_response, request) => request.socket.destroy();
const cut: Act = (response) => {
  response.writeHead(200, { "content-length": 100 });
  response.write('{"reply":"ha', () => response.destroy());
};
const never = new AbortController().signal;

test("messages go by session: one chat until it starts over, a key for each message", async () => {
  const { seen, client } = await serve(reply(200, { reply: "yes" }));
  expect(await client.ask("one", never)).toBe("yes");
  await client.ask("two", never);
  client.startOver();
  await client.ask("three", never);
  expect(seen.map(({ url, body }) => [url, body.message, body.session_metadata.platform])).toEqual([
    ["/v1/messages", "one", "cli"],
    ["/v1/messages", "two", "cli"],
    ["/v1/messages", "three", "cli"],
  ]);
  const chats = seen.map(({ body }) => body.session_metadata.chat_id);
  expect(chats[0]).toBe(chats[1]);
  expect(chats[2]).not.toBe(chats[0]);
  expect(new Set(seen.map(({ key }) => key)).size).toBe(3);
});

test.each([
  ["dropped", drop],
  ["cut in mid-answer", cut],
])("a connection that is %s is tried once more with the same key", async (_name, act) => {
  const { seen, client } = await serve(act, reply(200, { reply: "yes" }));
  expect(await client.ask("one", never)).toBe("yes");
  expect(seen).toHaveLength(2);
  expect(seen[0]?.key).toBe(seen[1]?.key);
});

test("a connection that is lost twice is told", async () => {
  const { seen, client } = await serve(drop);
  await expect(client.ask("one", never)).rejects.toThrow(/connection to the API was lost/);
  expect(seen).toHaveLength(2);
});

test.each([
  [
    400,
    { code: "invalid_argument", msg: "message: must not be blank", meta: {} },
    "message: must not be blank",
  ],
  [503, { message: "Service Unavailable" }, "Service Unavailable"],
  [200, { nothing: true }, "the API answered 200 with something unexpected"],
  [500, null, "the API answered 500 with something unexpected"],
])("%i %j is an error for people, and not tried again", async (status, body, message) => {
  const { seen, client } = await serve(reply(status, body));
  await expect(client.ask("one", never)).rejects.toEqual(new AskError(message));
  expect(seen).toHaveLength(1);
});

test("giving up rejects at once, with the reason, and tries nothing again", async () => {
  const giveUp = new AbortController();
  const { seen, client } = await serve(() => giveUp.abort("SIGINT"));
  await expect(client.ask("one", giveUp.signal)).rejects.toBe("SIGINT");
  expect(seen).toHaveLength(1);
});
