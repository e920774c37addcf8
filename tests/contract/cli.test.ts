import { once } from "node:events";
import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { afterEach, describe, expect, test } from "vitest";
import { runNode } from "../support/process.ts";

const program = fileURLToPath(new URL("../../packages/cli/src/main.ts", import.meta.url));

type Seen = { method: string; url: string; headers: IncomingMessage["headers"]; body: unknown };
type Reply = { status?: number; json?: unknown; raw?: string; headers?: Record<string, string> } | "drop";

const opened: (() => Promise<void>)[] = [];
afterEach(async () => {
  await Promise.all(opened.splice(0).map((close) => close()));
});

/** A server that gives the answers in turn, the last one from then on, and keeps what it was asked. */
async function serve(...replies: Reply[]) {
  const seen: Seen[] = [];
  const server = createServer(async (request: IncomingMessage, response: ServerResponse) => {
    const body = await text(request);
    const { method = "", url = "", headers } = request;
    seen.push({ method, url, headers, body: body === "" ? undefined : JSON.parse(body) });
    const reply = replies[Math.min(seen.length, replies.length) - 1];
    if (reply === "drop" || reply === undefined) {
      request.socket.destroy();
      return;
    }
    response.writeHead(reply.status ?? 200, { "content-type": "application/json", ...reply.headers });
    response.end(reply.raw ?? JSON.stringify(reply.json));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  opened.push(async () => {
    server.close();
    server.closeAllConnections();
  });
  return { seen, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` };
}

const cli = (url: string, args: string[], options: { stdin?: string; env?: Record<string, string> } = {}) =>
  runNode([program, ...args], { ...options, env: { API_URL: url, TZ: "UTC", ...options.env } });

const started = { conversation_id: "conv_01", title: "Sunny", reply: "It is sunny 🙂" };
const continued = { conversation_id: "conv_01", reply: "Still sunny" };

describe("ask", () => {
  test("starts a conversation: the reply on stdout, its id and title on stderr", async () => {
    const { url, seen } = await serve({ json: started });
    const result = await cli(url, ["ask", "how", "is it?"], { env: { API_KEY: "secret" } });
    expect(result).toMatchObject({
      code: 0,
      stdout: "It is sunny 🙂\n",
      stderr: "conversation conv_01: Sunny\n",
    });
    expect(seen).toMatchObject([
      { method: "POST", url: "/v1/conversations", body: { message: "how is it?" } },
    ]);
    expect(seen[0]?.headers).toMatchObject({ "x-api-key": "secret", "content-type": "application/json" });
    expect(seen[0]?.headers["idempotency-key"]).toMatch(/^[0-9a-f-]{36}$/);
  });

  test.each([
    [["ask", "conv_01", "and", "tomorrow?"], "and tomorrow?"],
    [["ask", "--conversation", "conv_01", "conv_02", "is", "an", "id"], "conv_02 is an id"],
    [["ask", "-c", "conv_01", "--", "--help"], "--help"],
  ])("%j continues a conversation", async (args, message) => {
    const { url, seen } = await serve({ json: continued });
    expect(await cli(url, args)).toMatchObject({ code: 0, stdout: "Still sunny\n", stderr: "" });
    expect(seen).toMatchObject([
      { method: "POST", url: "/v1/conversations/conv_01/messages", body: { message } },
    ]);
    expect(seen[0]?.headers).not.toHaveProperty("x-api-key");
  });

  test("without a message reads standard input, line breaks inside it included", async () => {
    const { url, seen } = await serve({ json: continued });
    await cli(url, ["ask", "conv_01"], { stdin: "one\ntwo\n" });
    expect(seen[0]?.body).toEqual({ message: "one\ntwo" });
  });

  test.each([[["ask"]], [["ask", " "]], [["ask", "conv_01"]]])(
    "%j with nothing to say is wrong usage",
    async (args) => {
      const { url, seen } = await serve({ json: started });
      const { code, stderr } = await cli(url, args, { stdin: " \n" });
      expect([code, stderr]).toEqual([2, "the message is empty (see --help)\n"]);
      expect(seen).toHaveLength(0);
    },
  );

  test("--json prints the response as it is", async () => {
    const raw = '{"reply":"a","conversation_id":"conv_01","title":"T","more":[1]}';
    const { url } = await serve({ raw });
    expect(await cli(url, ["ask", "--json", "hi"])).toMatchObject({
      code: 0,
      stdout: `${raw}\n`,
      stderr: "",
    });
  });

  test("a connection that breaks is tried once more, with the same idempotency key", async () => {
    const { url, seen } = await serve("drop", { json: started });
    expect(await cli(url, ["ask", "hi"])).toMatchObject({ code: 0, stdout: "It is sunny 🙂\n" });
    expect(new Set(seen.map(({ headers }) => headers["idempotency-key"])).size).toBe(1);
    expect(seen).toHaveLength(2);
  });

  test("control characters in an answer do not reach the terminal", async () => {
    const { url } = await serve({ json: { ...started, reply: "a\u001b[2Jb\u009b1mc\r\n\td\u0007" } });
    expect((await cli(url, ["ask", "hi"])).stdout).toBe("a[2Jb1mc\n\td\n");
  });
});

describe("list", () => {
  const page = (from: number, next?: string) => ({
    json: {
      conversations: [0, 1].map((n) => ({
        id: `conv_0${from + n}`,
        title: `Title\n${from + n}`,
        timestamp: "2026-03-01T09:30:00Z",
      })),
      ...(next === undefined ? {} : { next_page_token: next }),
    },
  });

  test("prints a page and says how to go on", async () => {
    const { url, seen } = await serve(page(1, "a b&c"));
    const { code, stdout, stderr } = await cli(url, ["list", "--page-size", "2"]);
    expect([code, stdout]).toEqual([
      0,
      "conv_01  2026-03-01 09:30  Title 1\nconv_02  2026-03-01 09:30  Title 2\n",
    ]);
    expect(stderr).toBe("more with --all, or with --page-token a b&c\n");
    expect(seen[0]?.url).toBe("/v1/conversations?page_size=2");
  });

  test("--all follows the pages", async () => {
    const { url, seen } = await serve(page(1, "a b&c"), page(3));
    const { stdout, stderr } = await cli(url, ["list", "--all"]);
    expect(stdout.split("\n").map((line) => line.slice(0, 7))).toEqual([
      "conv_01",
      "conv_02",
      "conv_03",
      "conv_04",
      "",
    ]);
    expect(stderr).toBe("");
    expect(seen.map((request) => request.url)).toEqual([
      "/v1/conversations",
      "/v1/conversations?page_token=a+b%26c",
    ]);
  });

  test("--all --json prints one response a line", async () => {
    const { url } = await serve(page(1, "t"), page(3));
    const { stdout } = await cli(url, ["list", "--all", "--json"]);
    expect(
      stdout
        .trimEnd()
        .split("\n")
        .map((line) => JSON.parse(line)),
    ).toEqual([page(1, "t").json, page(3).json]);
  });

  test("none is no error", async () => {
    const { url } = await serve({ json: { conversations: [] } });
    expect(await cli(url, ["list"])).toMatchObject({ code: 0, stdout: "", stderr: "no conversations\n" });
  });
});

describe("show", () => {
  const conversation = {
    id: "conv_01",
    title: "Sunny",
    timestamp: "2026-03-01T09:30:00Z",
    messages: [
      { id: "msg_1", role: "USER", content: "Weather?", timestamp: "2026-03-01T09:30:00Z" },
      { id: "msg_2", role: "ASSISTANT", content: "Fine.\nReally.", timestamp: "2026-03-01T09:31:00Z" },
    ],
  };

  test("prints the conversation", async () => {
    const { url, seen } = await serve({ json: { conversation } });
    const { code, stdout } = await cli(url, ["show", "conv_01"]);
    expect(code).toBe(0);
    expect(stdout).toBe(
      "Sunny  conv_01  2026-03-01 09:30\n\nYou, 2026-03-01 09:30\nWeather?\n\nAssistant, 2026-03-01 09:31\nFine.\nReally.\n",
    );
    expect(seen[0]).toMatchObject({ method: "GET", url: "/v1/conversations/conv_01" });
  });

  test("an id is one path segment, whatever is in it", async () => {
    const { url, seen } = await serve({ json: { conversation } });
    await cli(url, ["show", "../a/b?c"]);
    expect(seen[0]?.url).toBe("/v1/conversations/..%2Fa%2Fb%3Fc");
  });

  test.each([[["show"]], [["show", "a", "b"]]])("%j is wrong usage", async (args) => {
    expect((await cli("http://127.0.0.1:1", args)).code).toBe(2);
  });
});

describe("failure", () => {
  const missing = {
    status: 404,
    json: { code: "not_found", msg: "there is no conversation conv_9", meta: {} },
  };

  test("an error of the service is its sentence, and exit code 1", async () => {
    const { url } = await serve(missing);
    const result = await cli(url, ["show", "conv_9"]);
    expect(result).toMatchObject({ code: 1, stdout: "", stderr: "there is no conversation conv_9\n" });
  });

  test("--json prints the error's body, too", async () => {
    const { url } = await serve(missing);
    const { code, stdout } = await cli(url, ["show", "conv_9", "--json"]);
    expect([code, JSON.parse(stdout)]).toEqual([1, missing.json]);
  });

  test.each([
    [
      { status: 401, json: { code: "unauthenticated", msg: "no such key" } },
      "no such key (API_KEY holds the key)\n",
    ],
    [
      { status: 429, json: { msg: "too fast" }, headers: { "retry-after": "7" } },
      "too fast (try again in 7 s)\n",
    ],
    [{ status: 503, json: { message: "Service Unavailable" } }, "Service Unavailable\n"],
  ])("%j", async (reply, stderr) => {
    const { url } = await serve(reply);
    expect(await cli(url, ["list"])).toMatchObject({ code: 1, stderr });
  });

  test.each([
    { status: 200, raw: "<!doctype html>" },
    { status: 502, raw: "" },
    { status: 200, raw: "[]" },
  ])("an answer that is not Parley's: %j", async (reply) => {
    const { url } = await serve(reply);
    const { code, stderr } = await cli(url, ["list"]);
    expect(code).toBe(1);
    expect(stderr).toBe(
      `${url} answered ${reply.status}, and not as Parley does: does API_URL name the right server?\n`,
    );
  });

  test("no server names API_URL and npm run dev, with exit code 3", async () => {
    const { code, stderr } = await cli("http://127.0.0.1:1/", ["list"]);
    expect(code).toBe(3);
    expect(stderr).toMatch(/^cannot reach http:\/\/127\.0\.0\.1:1 \(.+\): .*npm run dev.*API_URL.*\n$/);
  });

  test.each([
    [[], "a command is missing: ask, list or show (see --help)\n"],
    [["sing"], "there is no command sing; the commands are ask, list and show (see --help)\n"],
    [["list", "--nope"], expect.stringContaining("--nope")],
  ])("%j is wrong usage", async (args, stderr) => {
    expect(await cli("http://127.0.0.1:1", args)).toMatchObject({ code: 2, stdout: "", stderr });
  });

  test("an API_URL that is none is wrong usage, a blank one is the default", async () => {
    expect((await cli("localhost:3000", ["list"])).code).toBe(2);
    expect((await cli("", ["--help"])).stdout).toContain("http://127.0.0.1:3000");
  });
});

describe("help", () => {
  test.each([
    [["--help"], "ask [conversation_id]"],
    [["ask", "--help"], "--conversation"],
    [["list", "-h"], "--page-size"],
    [["show", "--help"], "show <conversation_id>"],
  ])("%j", async (args, expected) => {
    const { code, stdout, stderr } = await cli("http://127.0.0.1:1", args);
    expect([code, stderr]).toEqual([0, ""]);
    expect(stdout).toContain(expected);
  });
});
