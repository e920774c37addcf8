import { randomUUID } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { create, type DescMessage, fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { routes } from "@parley/functions/api/routes";
import { startDynamo } from "@parley/local/dynamodb/server";
import type { Gateway } from "@parley/local/gateway/server";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ChatService } from "../../packages/functions/src/generated/acai/chat/chat_pb.js";
import { deploy, type Engines, KEY, startEngines } from "../support/deployment.ts";
import { type Answer, contractOf, type OpenApi } from "../support/openapi.ts";
import { runNode } from "../support/process.ts";

type Body = Record<string, unknown>;
type Operation = {
  method: "GET" | "POST" | "DELETE";
  path: string;
  statuses: number[];
  /** A valid body; `id` is a conversation that the key owns. */
  body?: (id: string) => Body;
};
type Sent = {
  id?: string;
  query?: string;
  headers?: Record<string, string>;
  body?: Body | Uint8Array;
};

const rpc = (method: string) => `/twirp/acai.chat.ChatService/${method}`;
const hello: Body = { message: "Hello there" };
const session: Body = { platform: "api", user_id: "ada", chat_id: "desk" };

const turn = [400, 401, 408, 409, 429, 503];
const read = [400, 401, 408, 429, 503];

/** Every operation that a key opens, and every status that it may be expected to answer with. */
const operations: Operation[] = [
  { method: "POST", path: "/v1/conversations", statuses: [201, ...turn], body: () => hello },
  {
    method: "POST",
    path: "/v1/conversations/{id}/messages",
    statuses: [200, 404, ...turn],
    body: () => hello,
  },
  {
    method: "POST",
    path: "/v1/messages",
    statuses: [200, 404, ...turn],
    body: (id) => ({ ...hello, conversation_id: id }),
  },
  { method: "GET", path: "/v1/conversations", statuses: [200, ...read] },
  { method: "GET", path: "/v1/conversations/{id}", statuses: [200, 404, ...read] },
  { method: "DELETE", path: "/v1/conversations/{id}", statuses: [204, 404, ...read] },
  { method: "GET", path: "/v1/conversations/{id}/export", statuses: [200, 404, ...read] },
  { method: "POST", path: rpc("StartConversation"), statuses: [200, 404, ...turn], body: () => hello },
  {
    method: "POST",
    path: rpc("ContinueConversation"),
    statuses: [200, 404, ...turn],
    body: (id) => ({ ...hello, conversation_id: id }),
  },
  { method: "POST", path: rpc("ListConversations"), statuses: [200, 404, ...read], body: () => ({}) },
  {
    method: "POST",
    path: rpc("DescribeConversation"),
    statuses: [200, 404, ...read],
    body: (id) => ({ conversation_id: id }),
  },
];

/** What answers without a key. */
const services = [
  { method: "GET", path: "/health", statuses: [200] },
  { method: "GET", path: "/ready", statuses: [200, 503] },
  { method: "GET", path: "/openapi.json", statuses: [200] },
  { method: "GET", path: "/docs", statuses: [200] },
] as const;

const NOBODYS = "conv_01arz3ndektsv4rrffq69g5fav";
/** No operation's: the message is no text, the page too big, the parameter unknown. */
const wrongFor = ({ method }: Operation): Sent =>
  method === "POST" ? { body: { message: 5, page_size: 101 } } : { query: "?nope=1" };
const takesTurn = ({ statuses }: Operation) => statuses.includes(409);
const only = (status: number) => operations.filter(({ statuses }) => statuses.includes(status));
const nameOf = ({ method, path }: { method: string; path: string }) => `${method} ${path}`;

let engines: Engines;
let gateway: Gateway;
let document: OpenApi;
let contract: ReturnType<typeof contractOf>;
let conversation: string;

beforeAll(async () => {
  engines = await startEngines();
  gateway = await deploy(engines, { env: { PARLEY_VERSION: "1.2.3" } });
  document = (await (await fetch(`${gateway.url}/openapi.json`)).json()) as OpenApi;
  contract = contractOf(document);
  conversation = await newConversation();
});
afterAll(async () => {
  await gateway?.close();
  await engines?.close();
});

async function send(operation: Operation, sent: Sent = {}, { url } = gateway): Promise<Answer> {
  const { id = conversation, query = "", headers = {} } = sent;
  const body = operation.body && (sent.body ?? operation.body(id));
  const response = await fetch(`${url}${operation.path.replace("{id}", id)}${query}`, {
    method: operation.method,
    headers: { "x-api-key": KEY.secret, ...(body && { "content-type": "application/json" }), ...headers },
    ...(body && { body: body instanceof Uint8Array ? Buffer.from(body) : JSON.stringify(body) }),
  });
  return answerOf(response);
}

async function answerOf(response: Response): Promise<Answer> {
  const { status, headers } = response;
  return { status, headers, body: Buffer.from(await response.arrayBuffer()) };
}

const jsonOf = ({ body }: Answer) => JSON.parse(body.toString()) as Record<string, unknown>;

async function newConversation(): Promise<string> {
  const [start] = operations;
  return String(jsonOf(await send(start!))["conversation_id"]);
}

function expectDocumented(
  { method, path }: Pick<Operation, "method" | "path">,
  status: number,
  answer: Answer,
): void {
  expect(answer.status, answer.body.toString()).toBe(status);
  expect(contract.problemsOf(method, path, answer)).toEqual([]);
  if (status === 429 || status === 503) expect(answer.headers.get("retry-after")).toMatch(/^[1-9]\d*$/);
  if (status >= 400 && path !== "/ready") {
    expect(jsonOf(answer)).toEqual({
      code: expect.any(String),
      msg: expect.any(String),
      meta: expect.any(Object),
    });
  }
}

describe("the document", () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "parley-openapi-"));
  });
  afterAll(() => rm(folder, { recursive: true }));

  async function lint(subject: OpenApi) {
    const root = fileURLToPath(new URL("../../", import.meta.url));
    const manifest = createRequire(import.meta.url).resolve("@redocly/cli/package.json");
    const file = join(folder, `${randomUUID()}.json`);
    await writeFile(file, JSON.stringify(subject));
    return runNode([join(dirname(manifest), "bin/cli.js"), "lint", file, "--config", "redocly.yaml"], {
      cwd: root,
      env: { REDOCLY_TELEMETRY: "off", REDOCLY_SUPPRESS_UPDATE_NOTICE: "true" },
    });
  }

  test("lints clean, and a flaw in it would not", async () => {
    const { "/health": health, ...paths } = structuredClone(document.paths);
    health!["get"]!.operationId = document.paths["/ready"]!["get"]!.operationId;
    const [clean, flawed] = await Promise.all([
      lint(document),
      lint({ ...document, paths: { ...paths, "/health": health! } }),
    ]);
    expect(clean, clean.stderr).toMatchObject({ code: 0 });
    expect(clean.stderr + clean.stdout).not.toMatch(/warning/i);
    expect(flawed.code).toBe(1);
    expect(flawed.stderr + flawed.stdout).toContain("operation-operationId-unique");
  });

  test("has every route, but for the fallback, the page's assets and the webhook, which is Telegram's to call", () => {
    const hidden = ["$default", "/docs/{asset}", "/telegram/{bot}"];
    const visible = routes.filter(({ path }) => !hidden.includes(path)).map(nameOf);
    const documented = Object.entries(document.paths).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
    );
    expect(documented.sort()).toEqual(visible.sort());
  });

  test("has every status that these tests provoke, and no other", () => {
    const provoked = [...operations, ...services].flatMap((operation) =>
      operation.statuses.map((status) => `${nameOf(operation)} ${status}`),
    );
    expect(contract.statuses().sort()).toEqual(provoked.sort());
  });

  test("tells the deployment's version", () => {
    expect(document).toMatchObject({ openapi: "3.1.0", info: { version: "1.2.3" } });
  });
});

describe("an answer is what the document says", () => {
  test.each(operations.map((operation) => [nameOf(operation), operation] as const))(
    "%s: done",
    async (_name, operation) => {
      const answer = await send(operation, { id: await newConversation() });
      expectDocumented(operation, operation.statuses[0]!, answer);
    },
  );

  test.each(only(409).map((operation) => [nameOf(operation), operation] as const))(
    "%s: done before, and 409 with another message",
    async (_name, operation) => {
      const headers = { "idempotency-key": randomUUID() };
      const first = await send(operation, { headers });
      const again = await send(operation, { headers });
      expectDocumented(operation, operation.statuses[0]!, again);
      expect(again.headers.get("idempotent-replayed")).toBe("true");
      expect(again.body).toEqual(first.body);
      const other = { ...operation.body?.(conversation), message: "Something else" };
      expectDocumented(operation, 409, await send(operation, { headers, body: other }));
    },
  );

  test.each(only(400).map((operation) => [nameOf(operation), operation] as const))(
    "%s: 400",
    async (_name, operation) => {
      expectDocumented(operation, 400, await send(operation, wrongFor(operation)));
    },
  );

  test.each(only(401).map((operation) => [nameOf(operation), operation] as const))(
    "%s: 401",
    async (_name, operation) => {
      // An address is allowed few failures.
      await engines.redis.result("FLUSHALL");
      expectDocumented(operation, 401, await send(operation, { headers: { "x-api-key": "pk_wrong" } }));
    },
  );

  test.each(only(404).map((operation) => [nameOf(operation), operation] as const))(
    "%s: 404",
    async (_name, operation) => {
      const named = operation.path.includes("{id}") || "conversation_id" in (operation.body?.("") ?? {});
      if (named) expectDocumented(operation, 404, await send(operation, { id: NOBODYS }));
      if (!operation.path.startsWith("/twirp/")) return;
      const answer = await send(operation, { headers: { "content-type": "text/plain" } });
      expectDocumented(operation, 404, answer);
      expect(jsonOf(answer)["code"]).toBe("bad_route");
    },
  );

  test.each(only(503).map((operation) => [nameOf(operation), operation] as const))(
    "%s: 503",
    async (_name, operation) => {
      const lift = engines.storeEngine.inject({ kind: "error", times: Number.POSITIVE_INFINITY });
      try {
        expectDocumented(operation, 503, await send(operation));
      } finally {
        lift();
      }
      if (!takesTurn(operation)) return;
      const heal = engines.model.inject({ status: 503 });
      try {
        expectDocumented(operation, 503, await send(operation));
      } finally {
        heal();
      }
    },
  );

  test.each(services.map((service) => [nameOf(service), service] as const))("%s", async (_name, service) => {
    const ask = async () => answerOf(await fetch(`${gateway.url}${service.path}`));
    expectDocumented(service, 200, await ask());
    if (service.path !== "/ready") return;
    const lift = engines.storeEngine.inject({ kind: "error", times: Number.POSITIVE_INFINITY });
    try {
      const answer = await ask();
      expectDocumented(service, 503, answer);
      expect(jsonOf(answer)).toMatchObject({
        status: "unavailable",
        store: { ok: false },
        redis: { ok: true },
      });
    } finally {
      lift();
    }
  });

  test("in protobuf as well", async () => {
    async function call<I extends DescMessage, O extends DescMessage>(
      { name, input, output }: { name: string; input: I; output: O },
      request: MessageInitShape<I>,
    ) {
      const operation = operations.find(({ path }) => path === rpc(name))!;
      const headers = { "content-type": "application/protobuf" };
      const answer = await send(operation, { headers, body: toBinary(input, create(input, request)) });
      expectDocumented(operation, 200, answer);
      return fromBinary(output, answer.body);
    }
    const { method } = ChatService;
    const { conversationId } = await call(method.startConversation, { message: "Hello" });
    expect(await call(method.continueConversation, { message: "And?", conversationId })).toMatchObject({
      conversationId,
    });
    expect((await call(method.listConversations, {})).conversations[0]?.id).toBe(conversationId);
    expect((await call(method.describeConversation, { conversationId })).conversation?.messages).toHaveLength(
      4,
    );
  });
});

describe("a request is taken when the document says so", () => {
  const post = operations.filter(({ path, method }) => method === "POST" && path.startsWith("/v1/"));
  const limit = 16 * 1024;
  const bodies: [what: string, ok: boolean, body: unknown][] = [
    ["a message", true, hello],
    ["a message as long as may be", true, { message: "x".repeat(limit) }],
    ["a longer one", false, { message: "x".repeat(limit + 1) }],
    ["a message beyond ASCII", true, { message: "\u00e9 \u{1f600} \u4f60\u597d\n\u0000" }],
    ["no message", false, {}],
    ["an empty message", false, { message: "" }],
    ["a blank message", false, { message: " \t\n\u00a0\u2003\ufeff" }],
    ["a number for a message", false, { message: 5 }],
    ["null for a message", false, { message: null }],
    ["a field too many", false, { ...hello, nope: 1 }],
    ["a session", true, { ...hello, session_metadata: session }],
    ["null for a session", false, { ...hello, session_metadata: null }],
    ["half a session", false, { ...hello, session_metadata: { platform: "api", user_id: "ada" } }],
    ["a session with an empty name", false, { ...hello, session_metadata: { ...session, chat_id: "" } }],
    ["a session with a field too many", false, { ...hello, session_metadata: { ...session, nope: 1 } }],
    ["the longest platform", true, { ...hello, session_metadata: { ...session, platform: "p".repeat(32) } }],
    ["a longer one", false, { ...hello, session_metadata: { ...session, platform: "p".repeat(33) } }],
    ["a long chat id", true, { ...hello, session_metadata: { ...session, chat_id: "c".repeat(128) } }],
    ["a longer chat id", false, { ...hello, session_metadata: { ...session, chat_id: "c".repeat(129) } }],
    ["a list", false, [hello]],
    ["text", false, "hello"],
  ];
  const rest = post.flatMap((operation) =>
    bodies.map(([what, ok, body]) => {
      // By session: without one, and without an id, nothing says which conversation it is.
      const placeless = operation.path === "/v1/messages" && !Object.hasOwn(Object(body), "session_metadata");
      return [nameOf(operation), what, ok && !placeless, operation, body] as const;
    }),
  );

  async function verdicts(operation: Operation, body: unknown) {
    const { status } = await send(operation, { body: body as Body });
    expect([200, 201, 400]).toContain(status);
    return {
      documented: contract.acceptsBody(operation.method, operation.path, body),
      taken: status !== 400,
    };
  }

  test.each(rest)("%s: %s, %s", async (_name, _what, ok, operation, body) => {
    expect(await verdicts(operation, body)).toEqual({ documented: ok, taken: ok });
  });

  test.each([
    [rpc("StartConversation"), true, { ...hello, nope: { at: "all" } }],
    [rpc("StartConversation"), false, { message: "" }],
    [rpc("StartConversation"), false, { ...hello, session_metadata: { platform: "api" } }],
    [rpc("ContinueConversation"), true, { ...hello, session_metadata: { ...session, nope: 1 } }],
    [rpc("ContinueConversation"), false, hello],
    [rpc("ContinueConversation"), false, { ...hello, conversation_id: "" }],
    [rpc("ListConversations"), true, {}],
    [rpc("ListConversations"), true, { page_size: 100, nope: [] }],
    [rpc("ListConversations"), false, { page_size: 101 }],
    [rpc("ListConversations"), false, { page_size: "many" }],
    [rpc("DescribeConversation"), false, { page_size: 1 }],
  ])("%s: %s %j", async (path, ok, body) => {
    const operation = operations.find((each) => each.path === path)!;
    expect(await verdicts(operation, body)).toEqual({ documented: ok, taken: ok });
  });

  test.each([
    ["page_size", "1", true],
    ["page_size", "100", true],
    ["page_size", "101", false],
    ["page_size", "-1", false],
    ["page_size", "1.5", false],
    ["page_size", "many", false],
    ["page_token", "x".repeat(1_001), false],
    ["nope", "1", false],
    ["owner", "somebody", false],
    ["conversation_id", "conv_1", false],
  ])("GET /v1/conversations?%s=%.8s, %s", async (name, value, ok) => {
    const list = operations.find((each) => nameOf(each) === "GET /v1/conversations")!;
    const { status } = await send(list, { query: `?${name}=${value}` });
    expect(contract.accepts(list.method, list.path, "query", name, value)).toBe(ok);
    expect(status).toBe(ok ? 200 : 400);
  });

  test.each([
    ["a", true],
    ["~".repeat(255), true],
    ["~".repeat(256), false],
    ["two words", false],
    ["\u00e9", false],
  ])("Idempotency-Key: %.10s, %s", async (key, ok) => {
    const [start] = operations;
    const { status } = await send(start!, { headers: { "idempotency-key": key } });
    expect(contract.accepts("POST", start!.path, "header", "Idempotency-Key", key)).toBe(ok);
    expect(status).toBe(ok ? 201 : 400);
  });

  test("beyond the schemas, in its own words: camelCase, and what is empty counts as absent", async () => {
    const byName = (name: string) => operations.find((each) => nameOf(each) === name)!;
    const sessionMetadata = { platform: "api", userId: "ada", chatId: "desk" };
    const camel = await send(byName("POST /v1/messages"), { body: { ...hello, sessionMetadata } });
    expect(camel.status).toBe(200);
    const empty = { ...hello, conversation_id: "", session_metadata: session };
    expect(jsonOf(await send(byName("POST /v1/messages"), { body: empty }))).toMatchObject({
      conversation_id: jsonOf(camel)["conversation_id"],
    });
    const list = byName("GET /v1/conversations");
    expect((await send(list, { query: "?pageSize=1&page_token=" })).status).toBe(200);
  });

  test("its examples are", async () => {
    for (const operation of operations.filter(({ method }) => method === "POST")) {
      const example = contract.example(operation.method, operation.path) as Body | undefined;
      if (operation.path === rpc("DescribeConversation")) continue; // names a conversation, as an example
      expect(await verdicts(operation, example)).toEqual({ documented: true, taken: true });
    }
  });
});

describe("with little time", () => {
  // Three of these seconds are kept back for the answer.
  const timeoutMs = 8_000;
  const answers = new Map<Operation, Answer>();

  async function sendAll(all: Operation[], hurried: Gateway): Promise<void> {
    // Instances are cold at first, and that is not what is to take the time.
    await Promise.all(
      all.map(async (operation) => {
        while ((await send(operation, wrongFor(operation), hurried)).status !== 400);
      }),
    );
    await Promise.all(
      all.map(async (operation) => answers.set(operation, await send(operation, {}, hurried))),
    );
  }

  beforeAll(async () => {
    const silence = await startDynamo();
    silence.inject({ kind: "hang", times: Number.POSITIVE_INFINITY });
    const heal = engines.model.inject({ hang: true });
    const env = { AWS_ENDPOINT_URL_DYNAMODB: silence.url, AWS_MAX_ATTEMPTS: "10" };
    const silentModel = await deploy(engines, { timeoutMs });
    const silentStore = await deploy(engines, { timeoutMs, env });
    try {
      await Promise.all([
        sendAll(operations.filter(takesTurn), silentModel),
        sendAll(
          operations.filter((operation) => !takesTurn(operation)),
          silentStore,
        ),
      ]);
    } finally {
      heal();
      await Promise.all([silentModel.close(), silentStore.close(), silence.close()]);
    }
  }, 60_000);

  test.each(only(408).map((operation) => [nameOf(operation), operation] as const))(
    "%s: 408",
    (_name, operation) => expectDocumented(operation, 408, answers.get(operation)!),
  );
});

describe("with a tight limit", () => {
  let strict: Gateway;
  beforeAll(async () => {
    await engines.redis.result("FLUSHALL");
    strict = await deploy(engines, { env: { API_RATE_LIMIT_RPS: "1", API_RATE_LIMIT_BURST: "1" } });
  });
  afterAll(() => strict?.close());

  test.each(only(429).map((operation) => [nameOf(operation), operation] as const))(
    "%s: 429",
    async (_name, operation) => {
      let answer: Answer;
      // A second brings one more; several within it are too many.
      do {
        answer = await send(operation, { id: NOBODYS }, strict);
      } while (answer.status !== 429);
      expectDocumented(operation, 429, answer);
    },
  );
});
