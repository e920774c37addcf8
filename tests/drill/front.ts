import { randomUUID } from "node:crypto";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { buffer } from "node:stream/consumers";
import { routes } from "@parley/functions/api/routes";
import { splitUrl, toEvent } from "@parley/local/gateway/http-event";
import { toHttpResult } from "@parley/local/gateway/http-result";
import { matchRoute } from "@parley/local/gateway/route-table";
import type { Invocation, Outcome } from "./instances.ts";

/** The API's function limit in milliseconds, far below Lambda's: 3 s of it are kept back for storing the reply. */
const LIMIT_MS = 7_000;

export type Asked = { outcome: Outcome; status?: number; headers?: Record<string, unknown>; body?: string };
type Request = {
  target: string;
  headers: Record<string, string>;
  body: string;
  limitMs?: number | undefined;
};

/**
 * API Gateway in front of the instances: for clients in this process a call, for Telegram's webhook a socket. As the real
 * one it answers 502 for a function that died and 504 for one that does not answer.
 */
export async function startFront(invoke: (invocation: Invocation) => Promise<Outcome>) {
  async function post({ target, headers, body, limitMs = LIMIT_MS }: Request): Promise<Asked> {
    const match = matchRoute(routes, "POST", splitUrl(target)[0]);
    if (!match) throw new Error(`no route for ${target}`);
    const event = toEvent(
      {
        method: "POST",
        url: target,
        httpVersion: "1.1",
        headersDistinct: Object.fromEntries(
          Object.entries({ host: "drill", "content-type": "application/json", ...headers }).map(
            ([name, value]) => [name, [value]],
          ),
        ),
        remoteAddress: "127.0.0.1",
        localPort: 443,
        body: Buffer.from(body),
      },
      match,
      { accountId: "000000000000", apiId: "drill", requestId: randomUUID(), now: new Date() },
    );
    const outcome = await invoke({ entry: match.route.entry, event, limitMs });
    if (outcome.kind !== "result") return { outcome };
    const result = toHttpResult(JSON.stringify(outcome.result ?? null));
    if (!result) return { outcome };
    return { outcome, status: result.status, headers: result.headers, body: result.body.toString() };
  }

  const server = createServer(async (incoming, outgoing) => {
    const body = (await buffer(incoming)).toString();
    const headers = Object.fromEntries(
      Object.entries(incoming.headers).map(([name, value]) => [name, String(value)]),
    );
    const { status, outcome, body: answer } = await post({ target: incoming.url ?? "/", headers, body });
    outgoing.writeHead(status ?? (outcome.kind === "timeout" ? 504 : 502), {
      "content-type": "application/json",
    });
    outgoing.end(answer);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    post,
    async close() {
      server.close();
      server.closeAllConnections();
    },
  };
}
