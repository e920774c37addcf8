import { fromBinary, toBinary } from "@bufbuild/protobuf";
import type { chain as Chain } from "@parley/functions/http/chain";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { StartConversationRequestSchema } from "../../packages/functions/src/generated/acai/chat/chat_pb.js";
import { startEngines } from "../performance/engines.ts";
import {
  apiKeysOf,
  type FunctionRequest,
  type Functions,
  loadFunctions,
  newSecret,
  TASK_ROOT,
} from "../support/in-process.ts";

const KB = 1024;
const APP = "https://app.example";
const ada = newSecret("ada");

let engines: Awaited<ReturnType<typeof startEngines>>;
let functions: Functions | undefined;

beforeAll(async () => {
  engines = await startEngines();
});
afterEach(() => {
  functions?.close();
  functions = undefined;
});
afterAll(() => engines.close());

function load(env: Record<string, string> = {}): Functions {
  const { AUTH_MODE: _, ...rest } = engines.env;
  functions = loadFunctions({
    ...rest,
    API_KEYS: apiKeysOf(ada),
    API_RATE_LIMIT_RPS: "1000",
    API_RATE_LIMIT_BURST: "1000",
    ...env,
  });
  return functions;
}

const JSON_TYPE = { "content-type": "application/json" };
const KEY = { "x-api-key": ada.secret };
const post = (target: string, body: unknown, headers: Record<string, string> = {}): FunctionRequest => ({
  method: "POST",
  target,
  headers: { ...KEY, ...JSON_TYPE, ...headers },
  body: typeof body === "string" || Buffer.isBuffer(body) ? body : JSON.stringify(body),
});
const START = "/twirp/acai.chat.ChatService/StartConversation";

/** One of every kind of answer: success, created, nothing, a page, a document, each refusal. */
const KINDS: Record<string, FunctionRequest> = {
  "200": { target: "/v1/conversations", headers: KEY },
  "201": post("/v1/conversations", { message: "hello" }),
  "200 Twirp": post(START, { message: "hello" }),
  "400": post("/v1/conversations", "{"),
  "400 Twirp": post(START, {}),
  "401": { target: "/v1/conversations" },
  "404": { target: "/v1/conversations/conv_01m81xesxph6nrc2e9qzxpy9wx", headers: KEY },
  "404 no route": { target: "/nothing" },
  "404 preflight": { method: "OPTIONS", target: "/v1/conversations" },
  "200 health": { target: "/health" },
  "200 ready": { target: "/ready" },
  "200 document": { target: "/openapi.json" },
  "200 page": { target: "/docs" },
  "404 asset": { target: "/docs/../../package.json" },
};

describe("every answer", () => {
  test("carries the security headers and says nothing of what made it", async () => {
    const { ask } = load();
    for (const [kind, request] of Object.entries(KINDS)) {
      const { status, headers } = await ask(request);
      expect([kind, status]).toEqual([kind, Number.parseInt(kind, 10)]);
      expect(headers).toMatchObject({
        "content-security-policy": expect.stringMatching(/^default-src 'none';.*frame-ancestors 'none'$/),
        "referrer-policy": "no-referrer",
        "strict-transport-security": "max-age=63072000; includeSubDomains",
        "x-content-type-options": "nosniff",
        "x-frame-options": "DENY",
        "x-request-id": "JKJaXmPLvHcESHA=",
      });
      // Pages are the same for everybody; data is nobody else's.
      const isPublic = kind.endsWith("document") || kind.endsWith("page");
      expect(headers["cache-control"]).toMatch(isPublic ? /^public/ : /^no-store$/);
      for (const name of ["server", "x-powered-by", "set-cookie"]) expect(headers).not.toHaveProperty(name);
    }
  });

  test("carries the client's request id when it is plain, in the log too", async () => {
    const { ask, output } = load();
    for (const request of Object.values(KINDS)) {
      output.length = 0;
      const { headers } = await ask({
        ...request,
        headers: { ...request.headers, "x-request-id": "client-1" },
      });
      expect(headers["x-request-id"]).toBe("client-1");
      const lines = output.map((line) => JSON.parse(line) as Record<string, unknown>);
      expect(lines.find(({ message }) => message === "request")).toMatchObject({ request_id: "client-1" });
    }
    for (const hostile of ["a\r\nset-cookie: x=1", "x".repeat(65), "<script>", "a b", ""]) {
      const { headers } = await ask({ target: "/health", headers: { "x-request-id": hostile } });
      expect(headers["x-request-id"]).toBe("JKJaXmPLvHcESHA=");
      expect(headers).not.toHaveProperty("set-cookie");
    }
  });
});

describe("CORS", () => {
  const preflight = (origin: string): FunctionRequest => ({
    method: "OPTIONS",
    target: "/v1/conversations",
    headers: {
      origin,
      "access-control-request-method": "POST",
      "access-control-request-headers": "content-type, x-api-key",
    },
  });
  const corsOf = (headers: object) =>
    Object.keys(headers).filter((name) => name.startsWith("access-control-"));

  test("is closed unless it is configured", async () => {
    const { ask } = load();
    for (const origin of [APP, "null", "*", "", "https://api.example"]) {
      for (const request of Object.values(KINDS)) {
        const { headers } = await ask({ ...request, headers: { ...request.headers, origin } });
        expect(corsOf(headers)).toEqual([]);
      }
      const { status, headers, json } = await ask(preflight(origin));
      expect(status).toBe(404);
      expect(json).toMatchObject({ code: "bad_route" });
      expect(corsOf(headers)).toEqual([]);
    }
  });

  test("is open for the origins by name, on failures too", async () => {
    const { ask } = load({ CORS_ORIGINS: `${APP}, https://other.example` });
    for (const origin of [APP, "https://other.example"]) {
      for (const request of Object.values(KINDS)) {
        if (request.method === "OPTIONS") continue;
        const { headers } = await ask({ ...request, headers: { ...request.headers, origin } });
        expect(headers["access-control-allow-origin"]).toBe(origin);
        expect(headers["vary"]).toMatch(/origin|accept-encoding/);
        expect(headers).not.toHaveProperty("access-control-allow-credentials");
        const exposed = String(headers["access-control-expose-headers"]).split(", ");
        for (const name of [
          "x-request-id",
          "retry-after",
          "location",
          "idempotent-replayed",
          "x-ratelimit-limit",
        ]) {
          expect(exposed).toContain(name);
        }
      }
    }
    const others = [
      "http://app.example",
      "https://app.example.evil.example",
      "https://evil.example",
      "https://APP.example",
      "https://app.example:443",
      `${APP}, https://other.example`,
      "null",
      "*",
    ];
    for (const origin of others) {
      const { headers } = await ask({ target: "/v1/conversations", headers: { ...KEY, origin } });
      expect(corsOf(headers)).toEqual([]);
      expect((await ask(preflight(origin))).status).toBe(404);
    }
  });

  test("a preflight to any path is answered without a key", async () => {
    const { ask } = load({ CORS_ORIGINS: APP });
    for (const target of ["/v1/conversations", START, "/v1/conversations/x/messages", "/anything"]) {
      const { status, headers, text } = await ask({ ...preflight(APP), target });
      expect(status).toBe(204);
      expect(text).toBe("");
      expect(headers).toMatchObject({ "access-control-allow-origin": APP, vary: "origin" });
      expect(String(headers["access-control-allow-methods"]).split(", ")).toEqual(
        expect.arrayContaining(["GET", "POST", "DELETE"]),
      );
      expect(String(headers["access-control-allow-headers"]).split(", ")).toEqual(
        expect.arrayContaining([
          "content-type",
          "x-api-key",
          "authorization",
          "idempotency-key",
          "x-request-id",
        ]),
      );
      expect(Number(headers["access-control-max-age"])).toBeGreaterThan(0);
    }
  });

  test("settings that are wrong do not break an answer to a browser", async () => {
    // No container can be made of this; liveness and the shape of errors need none.
    const { ask } = load({ UPSTASH_REDIS_REST_URL: "", CORS_ORIGINS: APP });
    for (const target of ["/health", "/nothing", "/v1/conversations"]) {
      const { status, headers, json } = await ask({ target, headers: { ...KEY, origin: APP } });
      expect(headers["access-control-allow-origin"]).toBe(APP);
      expect(headers["x-request-id"]).toBeDefined();
      if (target === "/health") expect(status).toBe(200);
      else
        expect(json).toMatchObject({
          code: expect.any(String),
          msg: expect.any(String),
          meta: expect.any(Object),
        });
    }
  });
});

describe("sizes, on every encoding", () => {
  const message = (bytes: number) => "é".repeat(bytes / 2).padEnd(bytes / 2 + (bytes % 2), ".");
  const encodings: Record<string, (text: string) => FunctionRequest> = {
    REST: (text) => post("/v1/conversations", { message: text }),
    "REST, base64 in the event": (text) =>
      post("/v1/conversations", { message: text }, { "content-type": "application/vnd.parley+json" }),
    "Twirp JSON": (text) => post(START, { message: text }),
    "Twirp protobuf": (text) =>
      post(START, Buffer.from(toBinary(StartConversationRequestSchema, startRequest(text))), {
        "content-type": "application/protobuf",
      }),
  };
  const startRequest = (text: string) => {
    const request = fromBinary(StartConversationRequestSchema, new Uint8Array());
    request.message = text;
    return request;
  };

  test.each(Object.entries(encodings))("%s: a message of 16 KB, and no byte more", async (_name, request) => {
    const { ask } = load();
    expect((await ask(request(message(16 * KB)))).status).toBeLessThan(300);
    const { status, json } = await ask(request(message(16 * KB + 1)));
    expect(status).toBe(400);
    expect(json).toEqual({
      code: "invalid_argument",
      msg: "message: must not be over 16384 bytes of UTF-8",
      meta: { argument: "message" },
    });
  });

  test.each(Object.entries(encodings))(
    "%s: a body of 64 KB is read, a byte more is not",
    async (_name, request) => {
      const { ask } = load();
      const overhead = Buffer.from(request("x").body ?? "").length - 1;
      const grow = (bytes: number) => {
        // Protobuf's length takes two bytes more than that of one character.
        const isBinary = request("x").headers?.["content-type"] === "application/protobuf";
        return request(message(bytes - overhead - (isBinary ? 2 : 0)));
      };
      expect(Buffer.from(grow(64 * KB).body ?? "")).toHaveLength(64 * KB);
      // Read, and found to hold too long a message.
      expect((await ask(grow(64 * KB))).json).toMatchObject({ meta: { argument: "message" } });
      expect((await ask(grow(64 * KB + 1))).json).toEqual({
        code: "invalid_argument",
        msg: "The body must not be over 65536 bytes.",
        meta: { argument: "body" },
      });
    },
  );
});

describe("what clients put in", () => {
  test("prototype keys change nothing, wherever they are", async () => {
    const { ask } = load();
    const bodies = [
      '{"message":"hi","__proto__":{"polluted":1}}',
      '{"message":"hi","constructor":{"prototype":{"polluted":1}}}',
      '{"message":"hi","session_metadata":{"__proto__":{"polluted":1}}}',
      '{"__proto__":{"message":"hi"}}',
    ];
    for (const body of bodies) {
      for (const target of ["/v1/conversations", "/v1/messages", START]) {
        const { status } = await ask(post(target, body));
        expect(status).toBe(400);
      }
    }
    for (const query of [
      "__proto__[polluted]=1",
      "__proto__=1",
      "constructor=1",
      "constructor[prototype][polluted]=1",
    ]) {
      expect((await ask({ target: `/v1/conversations?${query}`, headers: KEY })).status).toBe(400);
    }
    for (const name of ["__proto__", "constructor", "toString"]) {
      expect((await ask({ target: `/v1/conversations/${name}`, headers: KEY })).status).toBe(404);
      expect((await ask({ target: `/docs/${name}` })).status).toBe(404);
    }
    expect({}).not.toHaveProperty("polluted");
  });

  test("a query is read as it is, and a path has the last word", async () => {
    const { ask } = load();
    const { json } = await ask(post("/v1/conversations", { message: "hello" }));
    const { conversation_id: id } = json as { conversation_id: string };
    const other = "conv_01m81xesxph6nrc2e9qzxpy9wx";
    const described = await ask({ target: `/v1/conversations/${id}?conversation_id=${other}`, headers: KEY });
    expect(described.json).toMatchObject({ conversation: { id } });
    const refused = await ask({ target: `/v1/conversations/${other}?conversation_id=${id}`, headers: KEY });
    expect(refused.status).toBe(404);
    const injected = await ask(
      post(`/v1/conversations/${other}/messages`, { message: "hi", conversation_id: id }),
    );
    expect(injected.status).toBe(404);
    for (const query of ["page_size=1&page_size=2", "page_size[]=1", "page_size=1,2"]) {
      expect((await ask({ target: `/v1/conversations?${query}`, headers: KEY })).status).toBe(400);
    }
  });

  test("message text and secrets are neither in the log nor in an error", async () => {
    const { ask, output } = load();
    const words = "the-quick-brown-fox";
    const wrong = "pk_of-somebody-else";
    const requests = [
      post("/v1/conversations", { message: `${words} jumps` }),
      post(START, { message: `${words} jumps` }),
      post("/v1/conversations", `{"message":"${words}`),
      post("/v1/conversations", { message: [words] }),
      post("/v1/conversations", { message: words, session_metadata: words }),
      post(START, { message: [words] }),
      post(START, { message: "hi", session_metadata: words }),
      post(START, { message: "hi", session_metadata: { platform: { a: words } } }),
      post(START, words),
      post(START, Buffer.from(`\u000a\u007f${words}`), { "content-type": "application/protobuf" }),
      post("/v1/conversations", { message: words }, { "x-api-key": wrong }),
      post("/v1/conversations", { message: words }, { "idempotency-key": `two words` }),
    ];
    for (const request of requests) {
      const { status, text } = await ask(request);
      if (status >= 400) expect(text).not.toContain(words);
      expect(text).not.toContain(wrong);
    }
    const log = output.join("\n");
    expect(output.length).toBeGreaterThan(requests.length);
    for (const secret of [words, wrong, ada.secret]) expect(log).not.toContain(secret);
    for (const secret of [
      "UPSTASH_REDIS_REST_TOKEN",
      "UPSTASH_REDIS_REST_URL",
      "AWS_ENDPOINT_URL_DYNAMODB",
    ]) {
      expect(log).not.toContain(`"${engines.env[secret]}`);
    }
  });

  test("a cause of any shape is logged, and breaks no answer", async () => {
    const { output } = load();
    const { chain } = (await import(new URL("http/chain.ts", TASK_ROOT).href)) as { chain: typeof Chain };
    const circle: Record<string, unknown> = { mark: "c1rcle" };
    circle["self"] = circle;
    const nested = new Error("0uter", { cause: new AggregateError([new Error("1nner")], "m1ddle") });
    const causes: [string, unknown][] = [
      ["c1rcle", circle],
      ["9007199254740993", { big: 9007199254740993n }],
      ["0uter", nested],
      ["m1ddle", nested],
      ["t3xt", "t3xt"],
      ["s1lent", Object.assign(new Error("s1lent"), { stack: undefined, toJSON: undefined })],
    ];
    for (const [mark, cause] of causes) {
      output.length = 0;
      const handler = chain().handler(async () => {
        throw cause;
      });
      const event = {
        rawPath: "/x",
        routeKey: "GET /x",
        headers: {},
        requestContext: { http: { method: "GET" } },
      };
      const result = await handler(event as never, { awsRequestId: "b3c1" } as never);
      expect(result).toMatchObject({ statusCode: 500, headers: { "x-request-id": "b3c1" } });
      expect(JSON.stringify(result)).not.toContain(mark);
      expect(output.find((line) => line.includes('"level":"ERROR"'))).toContain(mark);
      expect(output.some((line) => line.includes('"RequestFailures":1'))).toBe(true);
    }
  });

  test("a failing store's reason is in the log, and not in the answer", async () => {
    const { ask, output } = load({ AWS_MAX_ATTEMPTS: "1" });
    const lift = engines.storeEngine.inject({ kind: "error", times: Number.POSITIVE_INFINITY });
    const { status, headers, json, text } = await ask({ target: "/v1/conversations", headers: KEY });
    lift();
    expect(status).toBe(503);
    expect(headers["retry-after"]).toBe("1");
    expect(json).toEqual({ code: "unavailable", msg: expect.stringMatching(/./), meta: {} });
    expect(text).not.toMatch(/InternalServerError|dynamo|127\.0\.0\.1/i);
    const line = output.find((each) => each.includes('"level":"ERROR"'));
    expect(JSON.parse(line ?? "null")).toMatchObject({
      code: "unavailable",
      error: { name: "InternalServerError", stack: expect.stringContaining("\n    at ") },
    });
  });
});
