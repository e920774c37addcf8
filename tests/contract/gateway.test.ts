import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { pathToFileURL } from "node:url";
import type { Gateway, GatewayLog, GatewayOptions } from "@parley/local/gateway/server";
import { startGateway } from "@parley/local/gateway/server";
import type { APIGatewayProxyEventV2, Context } from "aws-lambda";
import { afterEach, describe, expect, test, vi } from "vitest";

const taskRoot = new URL("../support/functions/", import.meta.url);
const routes = [
  { method: "ANY", path: "/scripted", name: "scripted", entry: "scripted.ts" },
  { method: "GET", path: "/things/{id}", name: "scripted", entry: "scripted.ts" },
  { method: "GET", path: "/broken", name: "broken", entry: "broken.ts" },
];

const opened: Gateway[] = [];
const logs: GatewayLog[] = [];

afterEach(async () => {
  await Promise.all(opened.splice(0).map((gateway) => gateway.close()));
  logs.length = 0;
});

async function open(options: Partial<GatewayOptions> = {}): Promise<Gateway> {
  const log = (entry: GatewayLog) => logs.push(entry);
  const gateway = await startGateway({ routes, taskRoot, env: { GREETING: "hello" }, log, ...options });
  opened.push(gateway);
  return gateway;
}

async function call(gateway: Gateway, path: string, init: RequestInit = {}) {
  const response = await fetch(`${gateway.url}${path}`, init);
  const body = await response.text();
  return { status: response.status, body, headers: response.headers };
}

const scripted = (gateway: Gateway, action: string, value: string | number = "") =>
  call(gateway, `/scripted?${new URLSearchParams({ do: action, value: String(value) })}`);

type Echo = { event: APIGatewayProxyEventV2; context: Context; remaining: number };

const ofType = <T extends GatewayLog["type"]>(type: T) =>
  logs.filter((entry): entry is Extract<GatewayLog, { type: T }> => entry.type === type);

describe("requests", () => {
  test("a request becomes an event, and the event's answer a response", async () => {
    const gateway = await open();
    const { status, body, headers } = await call(gateway, "/things/a%2Fb?x=1&x=2", {
      headers: { "user-agent": "test", cookie: "a=1; b=2" },
    });
    const { event, context, remaining } = JSON.parse(body) as Echo;
    expect(status).toBe(200);
    expect(headers.get("content-type")).toBe("application/json");
    expect(headers.get("apigw-requestid")).toBe(event.requestContext.requestId);
    expect(event).toMatchObject({
      version: "2.0",
      routeKey: "GET /things/{id}",
      rawPath: "/things/a/b",
      pathParameters: { id: "a/b" },
      queryStringParameters: { x: "1,2" },
      cookies: ["a=1", "b=2"],
      requestContext: {
        stage: "$default",
        http: { method: "GET", sourceIp: "127.0.0.1", userAgent: "test" },
      },
    });
    expect(context).toMatchObject({
      functionName: "scripted",
      functionVersion: "$LATEST",
      invokedFunctionArn: "arn:aws:lambda:us-east-1:000000000000:function:scripted",
      memoryLimitInMB: "1024",
      logGroupName: "/aws/lambda/scripted",
    });
    expect(context.awsRequestId).toMatch(/^[0-9a-f-]{36}$/);
    expect(remaining).toBeGreaterThan(28_000);
    expect(remaining).toBeLessThanOrEqual(29_000);
  });

  test("text goes through as text and other bytes as base64", async () => {
    const gateway = await open();
    const bytes = new Uint8Array([0, 255, 10, 128]);
    const post = async (body: string | Uint8Array<ArrayBuffer>, type: string) => {
      const response = await call(gateway, "/scripted", {
        method: "POST",
        body,
        headers: { "content-type": type },
      });
      const { event } = JSON.parse(response.body) as Echo;
      return [event.body, event.isBase64Encoded];
    };
    expect(await post('{"é":"🙂"}', "application/json")).toEqual(['{"é":"🙂"}', false]);
    expect(await post(bytes, "application/octet-stream")).toEqual(["AP8KgA==", true]);
  });

  test("no route answers 404, and a method that has no route too", async () => {
    const gateway = await open();
    for (const [path, method] of [
      ["/nowhere", "GET"],
      ["/things/1", "POST"],
    ] as const) {
      const { status, body } = await call(gateway, path, { method });
      expect([status, body]).toEqual([404, '{"message":"Not Found"}']);
    }
  });

  test("a body of 10 MB is passed on, one byte more answers 413", async () => {
    const gateway = await open();
    const post = (size: number) =>
      call(gateway, `/scripted?do=return&value=1`, { method: "POST", body: new Uint8Array(size) });
    expect((await post(10 * 1024 * 1024)).body).toBe("1");
    const { status, body } = await post(10 * 1024 * 1024 + 1);
    expect([status, body]).toEqual([413, '{"message":"Request Entity Too Large"}']);
    expect((await scripted(gateway, "return", 1)).status).toBe(200);
  });

  test("a port that is taken rejects with EADDRINUSE", async () => {
    const gateway = await open();
    const port = Number(new URL(gateway.url).port);
    await expect(startGateway({ routes, taskRoot, env: {}, port })).rejects.toMatchObject({
      code: "EADDRINUSE",
    });
  });

  test("a client that hangs up in mid-body costs nothing", async () => {
    const gateway = await open();
    const socket = connect(Number(new URL(gateway.url).port), "127.0.0.1");
    socket.write("POST /scripted HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\nhalf");
    await once(socket, "connect");
    socket.destroy();
    expect((await scripted(gateway, "return", 1)).body).toBe("1");
  });
});

describe("responses", () => {
  test("status, headers, cookies and bytes are the function's", async () => {
    const gateway = await open();
    const value = JSON.stringify({
      statusCode: 418,
      headers: { "X-Tea": "green", "content-type": "image/png" },
      cookies: ["a=1", "b=2"],
      body: "AP8KgA==",
      isBase64Encoded: true,
    });
    const response = await fetch(`${gateway.url}/scripted?${new URLSearchParams({ do: "return", value })}`);
    expect(response.status).toBe(418);
    expect(response.headers.get("x-tea")).toBe("green");
    expect(response.headers.get("content-type")).toBe("image/png");
    expect(response.headers.getSetCookie()).toEqual(["a=1", "b=2"]);
    expect([...(await response.bytes())]).toEqual([0, 255, 10, 128]);
  });

  test.each([
    ["undefined", "null"],
    ['"text"', '"text"'],
    ['{"a":1}', '{"a":1}'],
  ])("a function that returns %s answers 200 with JSON", async (value, expected) => {
    const { status, body } = await scripted(await open(), "return", value);
    expect([status, body]).toEqual([200, expected]);
  });

  test.each([
    ["return", '{"statusCode":"what"}'],
    ["throw", ""],
    ["huge", ""],
  ])("%s %s answers 500, and the instance lives on", async (action, value) => {
    const gateway = await open();
    const { status, body } = await scripted(gateway, action, value);
    expect([status, body]).toEqual([500, '{"message":"Internal Server Error"}']);
    expect((await scripted(gateway, "sleep", 0)).body).toContain('"invocations":2');
  });
});

describe("instances", () => {
  test("one is started at the first request, reused when idle, and its cold start is reported once", async () => {
    const gateway = await open();
    for (const count of [1, 2, 3]) {
      expect(JSON.parse((await scripted(gateway, "sleep", 0)).body)).toMatchObject({ invocations: count });
    }
    expect(ofType("cold_start")).toHaveLength(1);
    const requests = ofType("request");
    expect(requests.map(({ coldStartMs }) => coldStartMs !== undefined)).toEqual([true, false, false]);
    expect(requests[0]?.coldStartMs).toBe(ofType("cold_start")[0]?.durationMs);
  });

  test("requests beyond the instances wait for one, each instance running one at a time", async () => {
    const gateway = await open({ maxInstances: 2 });
    const answers = await Promise.all(Array.from({ length: 9 }, () => scripted(gateway, "sleep", 50)));
    const served = answers.map(({ body }) => JSON.parse(body) as { instance: number; invocations: number });
    const byInstance = Map.groupBy(served, ({ instance }) => instance);
    expect(byInstance.size).toBe(2);
    for (const group of byInstance.values()) {
      expect(group.map(({ invocations }) => invocations).sort()).toEqual(group.map((_, index) => index + 1));
    }
  });

  test("a warmed instance is there before the first request", async () => {
    const gateway = await open();
    gateway.warm("scripted");
    gateway.warm("scripted");
    await vi.waitFor(() => expect(ofType("cold_start")).toHaveLength(1));
    await scripted(gateway, "return", 1);
    expect(ofType("cold_start")).toHaveLength(1);
  });

  test("each has an environment of its own: what was given, what Lambda sets, and nothing of the parent's", async () => {
    const gateway = await open({ maxInstances: 2, env: { GREETING: "hello", AWS_REGION: "eu-west-1" } });
    const [first, second] = await Promise.all([
      scripted(gateway, "setenv", "mine"),
      scripted(gateway, "sleep", 100).then(() => scripted(gateway, "env")),
    ]);
    const envs = [first, second].map(({ body }) => (JSON.parse(body) as { env: Record<string, string> }).env);
    expect(envs[0]).toMatchObject({
      GREETING: "hello",
      PARLEY_TEST_MARK: "mine",
      AWS_REGION: "eu-west-1",
      AWS_LAMBDA_FUNCTION_NAME: "scripted",
      AWS_LAMBDA_FUNCTION_VERSION: "$LATEST",
      AWS_LAMBDA_FUNCTION_MEMORY_SIZE: "1024",
      AWS_EXECUTION_ENV: "AWS_Lambda_nodejs24.x",
      _HANDLER: "scripted.handler",
      TZ: "UTC",
    });
    expect(envs[0]?.["_X_AMZN_TRACE_ID"]).toMatch(/^Root=1-/);
    expect(envs[0]).not.toHaveProperty("PATH");
    expect(process.env).not.toHaveProperty("PARLEY_TEST_MARK");
  });

  test("output goes to the log, line by line, and never to the terminal", async () => {
    const write = vi.spyOn(process.stdout, "write");
    const gateway = await open();
    await scripted(gateway, "print", '{"level":"INFO","message":"é 🙂"}');
    await vi.waitFor(() => expect(ofType("output")).toHaveLength(2));
    expect(ofType("output").map(({ functionName, stream, line }) => [functionName, stream, line])).toEqual(
      expect.arrayContaining([
        ["scripted", "stdout", '{"level":"INFO","message":"é 🙂"}'],
        ["scripted", "stderr", '{"level":"INFO","message":"é 🙂"} aside'],
      ]),
    );
    expect(write.mock.calls.flat().join("")).not.toContain("INFO");
    write.mockRestore();
  });
});

describe("failure", () => {
  test.each([
    ["exit", "exited with code 3"],
    ["crash", "uncaught on purpose"],
  ])("%s answers 500 and costs that instance alone", async (action, message) => {
    const gateway = await open();
    const bystander = scripted(gateway, "sleep", 800);
    const { status, body } = await scripted(gateway, action);
    expect([status, body]).toEqual([500, '{"message":"Internal Server Error"}']);
    expect((await bystander).status).toBe(200);
    expect((await scripted(gateway, "sleep", 0)).status).toBe(200);
    expect(ofType("failure")).toMatchObject([{ reason: "crash", message: expect.stringContaining(message) }]);
  });

  test("running out of memory answers 500 and costs that instance alone", async () => {
    const gateway = await open({ memoryMb: 48 });
    expect((await scripted(gateway, "exhaust")).status).toBe(500);
    expect((await scripted(gateway, "sleep", 0)).status).toBe(200);
  });

  test("a function that spins is killed at its timeout, which answers 503", async () => {
    const gateway = await open({ timeoutMs: 1_500 });
    const startedAt = performance.now();
    const { status, body } = await scripted(gateway, "spin");
    expect([status, body]).toEqual([503, '{"message":"Service Unavailable"}']);
    expect(performance.now() - startedAt).toBeGreaterThan(1_400);
    expect((await scripted(gateway, "sleep", 0)).status).toBe(200);
    expect(ofType("failure")).toMatchObject([{ reason: "timeout" }]);
  });

  test("a request whose turn does not come within the timeout answers 503", async () => {
    const gateway = await open({ timeoutMs: 1_500, maxInstances: 1 });
    await scripted(gateway, "sleep", 0);
    const [spinning, waiting] = await Promise.all([scripted(gateway, "spin"), scripted(gateway, "sleep", 0)]);
    expect([spinning.status, waiting.status]).toEqual([503, 503]);
    expect((await scripted(gateway, "sleep", 0)).status).toBe(200);
  });

  test("a module that cannot be loaded answers 500 to each request, and says why in the log", async () => {
    const gateway = await open();
    const answers = await Promise.all([1, 2, 3, 4, 5, 6].map(() => call(gateway, "/broken")));
    expect(answers.map(({ status }) => status)).toEqual([500, 500, 500, 500, 500, 500]);
    expect(ofType("failure")).toHaveLength(6);
    expect(ofType("failure")[0]).toMatchObject({
      reason: "init",
      message: expect.stringContaining("broken at import"),
    });
  });
});

describe("life", () => {
  test("reload loads changed code for new requests, and lets those under way finish", async () => {
    const folder = await mkdtemp(join(tmpdir(), "parley-gateway-"));
    const write = (version: number, ms: number) =>
      writeFile(
        join(folder, "f.ts"),
        `export const handler = async () => { await new Promise((r) => setTimeout(r, ${ms})); return ${version}; };`,
      );
    try {
      await write(1, 600);
      const reloading = [{ method: "GET", path: "/f", name: "f", entry: "f.ts" }];
      const gateway = await open({ routes: reloading, taskRoot: pathToFileURL(`${folder}/`) });
      const underWay = call(gateway, "/f");
      await vi.waitFor(() => expect(ofType("cold_start")).toHaveLength(1));
      await write(2, 0);
      gateway.reload();
      expect((await call(gateway, "/f")).body).toBe("2");
      expect((await underWay).body).toBe("1");
      gateway.reload([...reloading, { method: "GET", path: "/g", name: "g", entry: "f.ts" }]);
      expect((await call(gateway, "/g")).body).toBe("2");
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  test("close ends at once whatever runs, and frees the port", async () => {
    const gateway = await open();
    const spinning = scripted(gateway, "spin").catch((error: unknown) => error);
    await vi.waitFor(() => expect(ofType("cold_start")).toHaveLength(1));
    const startedAt = performance.now();
    await opened.pop()?.close();
    expect(performance.now() - startedAt).toBeLessThan(1_000);
    expect(await spinning).toBeInstanceOf(TypeError);
    const again = await open({ port: Number(new URL(gateway.url).port) });
    expect((await scripted(again, "return", 1)).body).toBe("1");
  });

  test("a keep-alive connection serves one request after another", async () => {
    const gateway = await open();
    const socket = connect(Number(new URL(gateway.url).port), "127.0.0.1");
    const request = "GET /scripted?do=return&value=1 HTTP/1.1\r\nhost: x\r\n";
    socket.write(`${request}\r\n${request}connection: close\r\n\r\n`);
    expect((await text(socket)).match(/HTTP\/1.1 200/g)).toHaveLength(2);
  });
});
