import { connect } from "node:net";
import { routes } from "@parley/functions/api/routes";
import { type GatewayLog, startGateway } from "@parley/local/gateway/server";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Answer } from "../support/answer-faults.ts";
import { TASK_ROOT } from "../support/in-process.ts";
import { fc } from "../support/property.ts";
import { type WildRequest, wildRequests } from "../support/wild-requests.ts";
import { startWildService, type WildService, watched } from "../support/wild-service.ts";

const REQUESTS = 500;
const AT_ONCE = 4;

let service: WildService;

beforeAll(async () => {
  service = await startWildService();
});
afterAll(() => service.close());

test(`${REQUESTS} requests over sockets`, async () => {
  const { env, known, judge } = service;
  const failures: GatewayLog[] = [];
  const log = (entry: GatewayLog) => entry.type === "failure" && failures.push(entry);
  const gateway = await startGateway({ routes, taskRoot: TASK_ROOT, env, log });
  try {
    // Cold starts are no hangs.
    await Promise.all(
      routes.map(({ method, path }) => send(gateway.url, { ...PLAIN, method, target: path })),
    );
    let answered = 0;
    const ask = async (request: WildRequest): Promise<void> => {
      const seen = await watched(() => send(gateway.url, request));
      if (seen.headers["apigw-requestid"] === undefined) return expectRefusal(request, seen);
      answered += 1;
      judge(request, seen);
    };
    const batch = fc.array(wildRequests(known), { minLength: AT_ONCE, maxLength: AT_ONCE });
    await fc.assert(
      fc.asyncProperty(batch, async (requests) => {
        await Promise.all(requests.map(ask));
      }),
      { numRuns: REQUESTS / AT_ONCE },
    );
    expect(answered).toBeGreaterThan(REQUESTS / 2);
    expect(failures).toEqual([]);
  } finally {
    await gateway.close();
  }
}, 120_000);

// biome-ignore lint/suspicious/noControlCharactersInRegex: what HTTP forbids in a header's value.
const CONTROL = /[\u0000-\u0008\u000a-\u001f\u007f]/;
const PLAIN = { headers: {}, body: Buffer.alloc(0) };

/** No function was asked: this was not HTTP, or more of it than a server takes. 0: its answer was lost. */
function expectRefusal({ method, headers }: WildRequest, { status }: Answer): void {
  const isHttp =
    method === method.toUpperCase() && !Object.values(headers).some((value) => CONTROL.test(value));
  expect(isHttp ? [431] : [400, 431, 0]).toContain(status);
}

/** Bytes as they are: no client that would refuse to write them. */
async function send(url: string, { method, target, headers, body }: WildRequest): Promise<Answer> {
  const { hostname, port } = new URL(url);
  const socket = connect({ host: hostname, port: Number(port) });
  const lines = Object.entries({
    ...headers,
    host: hostname,
    "content-length": body.length,
    connection: "close",
  });
  const head = [`${method} ${target} HTTP/1.1`, ...lines.map((line) => line.join(": "))].join("\r\n");
  socket.write(Buffer.concat([Buffer.from(`${head}\r\n\r\n`), body]));
  const chunks: Buffer[] = [];
  socket.on("data", (chunk) => chunks.push(chunk));
  // A server that refuses hangs up while it is still being written to, and its answer may be lost with that.
  socket.on("error", () => {});
  await new Promise((resolve) => socket.once("close", resolve));
  const answer = Buffer.concat(chunks);
  const end = answer.indexOf("\r\n\r\n");
  const [status = "", ...fields] = answer.subarray(0, end).toString("latin1").split("\r\n");
  const received = answer.subarray(end + 4);
  return {
    status: Number(status.split(" ")[1] ?? 0),
    headers: Object.fromEntries(fields.map((field) => field.split(/: ?(.*)/s, 2) as [string, string])),
    body: received,
    text: received.toString("utf8"),
  };
}
