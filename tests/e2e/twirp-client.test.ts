import { BinaryWriter, type IBinaryWriter, WireType } from "@protobuf-ts/runtime";
import { RpcError } from "@protobuf-ts/runtime-rpc";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { current, type Method, original, Role, twirpClient } from "../support/chat-protocol.ts";
import { type ApiKey, type Edge, newKey, startEdge } from "../support/edge.ts";
import { type Json, send } from "../support/http.ts";

const SERVICE = "/twirp/acai.chat.ChatService";
const [ada, newcomer] = [newKey("ada"), newKey("newcomer")];
const hello = "Hello";
const id = "conv_00000000000000000000000000";

let edge: Edge;
beforeAll(async () => {
  edge = await startEdge({ keys: [ada, newcomer] });
});
afterAll(() => edge.close());

const secretOf = ({ secret }: ApiKey) => ({ "x-api-key": secret });
let chats = 0;
const newSession = () => ({ platform: "telegram", userId: "12345", chatId: `chat-${++chats}` });

async function failure(call: PromiseLike<unknown>): Promise<RpcError> {
  const error = await call.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!(error instanceof RpcError)) throw new Error(`not an RpcError: ${String(error)}`);
  return error;
}

type Client = ReturnType<typeof twirpClient<typeof current>>;
// As Go's clients do. The additions are unknown to a client of the original, and this implementation is strict in JSON.
const lenient = { ignoreUnknownFields: true };

describe.each([
  { of: "the original's protocol", encoding: "JSON", options: { sendJson: true, jsonOptions: lenient } },
  { of: "the original's protocol", encoding: "protobuf", options: { sendJson: false } },
  { of: "today's protocol", encoding: "JSON", options: { sendJson: true } },
  { of: "today's protocol", encoding: "protobuf", options: { sendJson: false } },
])("a client that knows $of, over $encoding", ({ of, encoding, options }) => {
  const protocol = of === "today's protocol" ? current : original;
  const clientWith = (meta: Record<string, string>) =>
    twirpClient(protocol as typeof current, { ...options, url: edge.url, meta });
  let client: Client;
  beforeAll(() => {
    client = clientWith(secretOf(ada));
  });

  test("starts, continues, lists and describes a conversation", async () => {
    const startedAt = Date.now();
    const { response: started } = await client.start({ message: "My dog is called Laika 🐕" });
    expect(started).toMatchObject({
      conversationId: expect.stringMatching(/^conv_[0-9a-z]{26}$/),
      title: expect.stringMatching(/./),
      reply: expect.stringMatching(/./),
    });
    const { conversationId } = started;
    const { response: continued } = await client.continue({ conversationId, message: hello });
    expect(continued.reply).not.toBe("");

    const { response: list } = await client.list({});
    const listed = list.conversations.find((one) => one.id === conversationId);
    expect(listed).toMatchObject({ title: started.title, messages: [] });

    const { conversation } = (await client.describe({ conversationId })).response;
    expect(conversation).toMatchObject({ id: conversationId, title: started.title });
    expect(conversation?.messages).toMatchObject([
      { role: Role.USER, content: "My dog is called Laika 🐕" },
      { role: Role.ASSISTANT, content: started.reply },
      { role: Role.USER, content: hello },
      { role: Role.ASSISTANT, content: continued.reply },
    ]);
    expect(new Set(conversation?.messages.map((message) => message.id)).size).toBe(4);
    for (const dated of [listed, conversation, ...(conversation?.messages ?? [])]) {
      const { seconds = 0n, nanos = 0 } = dated?.timestamp ?? {};
      const at = Number(seconds) * 1000 + nanos / 1_000_000;
      expect(at).toBeGreaterThanOrEqual(startedAt);
      expect(at).toBeLessThanOrEqual(Date.now());
    }
  });

  test("a chat stays in its conversation, begun by either method", async () => {
    const [begun, started] = [newSession(), newSession()];
    await client.continue({ message: "My name is Ada", sessionMetadata: begun });
    const { response: second } = await client.continue({ message: "Who am I?", sessionMetadata: begun });
    expect(second.reply).toContain("Ada");

    await client.start({ message: "My name is Grace", sessionMetadata: started });
    const { response: fourth } = await client.continue({ message: "Who am I?", sessionMetadata: started });
    expect(fourth.reply).toContain("Grace");
  });

  test("a repeated Idempotency-Key gets the first answer, and is told so", async () => {
    const key = { "idempotency-key": `${of}-${encoding}`.replaceAll(" ", "-") };
    const first = await client.start({ message: hello }, key);
    const second = await client.start({ message: hello }, key);
    expect(second.response).toEqual(first.response);
    expect((await first.headers)["idempotent-replayed"]).toBeUndefined();
    expect((await second.headers)["idempotent-replayed"]).toBe("true");
    expect(await failure(client.start({ message: "Another message" }, key))).toMatchObject({
      code: "already_exists",
      meta: { header: "idempotency-key" },
    });
  });

  test.each<[string, (client: Client) => PromiseLike<unknown>, string]>([
    ["no message", ({ start }) => start({}), "message"],
    ["a blank message", ({ start }) => start({ message: " \n" }), "message"],
    ["a message over 16 KB", ({ start }) => start({ message: "é".repeat(8193) }), "message"],
    [
      "a session without a chat",
      ({ start }) => start({ message: hello, sessionMetadata: { platform: "cli", userId: "1" } }),
      "session_metadata.chat_id",
    ],
    ["neither id nor session", ({ continue: next }) => next({ message: hello }), "session_metadata"],
    ["no id", ({ describe }) => describe({}), "conversation_id"],
  ])("invalid_argument: %s", async (_what, call, argument) => {
    expect(await failure(call(client))).toMatchObject({ code: "invalid_argument", meta: { argument } });
  });

  test.each(["nope", id, id.toUpperCase(), `${id} `, "../conversations"])(
    "not_found: %j",
    async (conversationId) => {
      expect(await failure(client.describe({ conversationId }))).toMatchObject({ code: "not_found" });
      const next = client.continue({ conversationId, message: hello });
      expect(await failure(next)).toMatchObject({ code: "not_found" });
    },
  );

  test("unauthenticated: without a key, with a wrong one", async () => {
    await edge.forgiveFailures();
    const wrong = [{}, { "x-api-key": `${ada.secret}x` }, { authorization: "Bearer nope" }];
    for (const meta of wrong) {
      expect(await failure(clientWith(meta).list({}))).toMatchObject({ code: "unauthenticated" });
    }
    const { response } = await clientWith({ authorization: `Bearer ${newcomer.secret}` }).list({});
    expect(response.conversations).toEqual([]);
  });

  test("bad_route: a method that there is not", async () => {
    expect(await failure(client.forget({}))).toMatchObject({ code: "bad_route" });
  });

  test("unavailable: the model does not answer; the message is kept", async () => {
    const lift = edge.model.inject({ status: 500 });
    const error = await failure(
      client.continue({ message: "Are you there?", sessionMetadata: newSession() }),
    );
    lift();
    expect(error).toMatchObject({ code: "unavailable" });
    const newest = (await client.list({})).response.conversations[0];
    expect(newest?.title).toBe("");
    const { conversation } = (await client.describe({ conversationId: newest?.id ?? "" })).response;
    expect(conversation?.messages).toMatchObject([{ role: Role.USER, content: "Are you there?" }]);
  });
});

describe.each([
  { encoding: "JSON", sendJson: true },
  { encoding: "protobuf", sendJson: false },
])("what today's protocol adds, over $encoding", ({ sendJson }) => {
  let client: Client;
  beforeAll(() => {
    client = twirpClient(current, { sendJson, url: edge.url, meta: secretOf(ada) });
  });

  test("is told which conversation a message went to, and reads pages", async () => {
    const sessionMetadata = newSession();
    const { response: first } = await client.continue({ message: hello, sessionMetadata });
    expect(first).toMatchObject({ conversationId: expect.stringMatching(/^conv_/), title: "Hello" });
    const { conversationId } = first;
    const { response: second } = await client.continue({ conversationId, message: hello });
    expect(second.conversationId).toBe(conversationId);

    const { response: list } = await client.list({ pageSize: 1 });
    expect(list.conversations).toMatchObject([{ id: conversationId }]);
    const { response: rest } = await client.list({ pageSize: 1, pageToken: list.nextPageToken });
    expect(rest.conversations).toHaveLength(1);
    expect(rest.conversations[0]?.id).not.toBe(conversationId);

    const whole = (await client.describe({ conversationId })).response;
    expect(whole.nextPageToken).toBe("");
    const page = (await client.describe({ conversationId, pageSize: 3 })).response;
    const pageToken = page.nextPageToken;
    const last = (await client.describe({ conversationId, pageSize: 3, pageToken })).response;
    expect(last.nextPageToken).toBe("");
    const messages = [page, last].flatMap((one) => one.conversation?.messages ?? []);
    expect(messages).toEqual(whole.conversation?.messages);
  });

  test.each<[string, (client: Client) => PromiseLike<unknown>, string]>([
    ["a page below 1", ({ list }) => list({ pageSize: -1 }), "page_size"],
    ["a page over 100", ({ describe }) => describe({ conversationId: id, pageSize: 101 }), "page_size"],
    ["a page token of nobody's", ({ list }) => list({ pageToken: "e30" }), "page_token"],
  ])("invalid_argument: %s", async (_what, call, argument) => {
    expect(await failure(call(client))).toMatchObject({ code: "invalid_argument", meta: { argument } });
  });
});

describe("on the wire", () => {
  const JSON_TYPE = "application/json";
  const PROTOBUF = "application/protobuf";

  const post = (method: string, type: string | undefined, body?: string | Uint8Array, headers = {}) =>
    send(edge.url, {
      method: "POST",
      path: `${SERVICE}/${method}`,
      headers: { ...secretOf(ada), ...(type && { "content-type": type }), ...headers },
      ...(body !== undefined && { body }),
    });

  async function postJson(method: Method, body: unknown, headers = {}): Promise<Json> {
    const answer = await post(method, JSON_TYPE, JSON.stringify(body), headers);
    expect(answer.status, answer.body.toString()).toBe(200);
    expect(answer.headers["content-type"]).toBe(JSON_TYPE);
    return JSON.parse(answer.body.toString());
  }

  /** The error as JSON, after a look at its shape. */
  async function postWrong(...call: Parameters<typeof post>): Promise<Json> {
    const answer = await post(...call);
    expect(answer.headers["content-type"]).toBe(JSON_TYPE);
    const error = JSON.parse(answer.body.toString()) as Json;
    expect(Object.keys(error).sort()).toEqual(["code", "meta", "msg"]);
    return { ...error, status: answer.status };
  }

  test("JSON has snake_case names and says defaults", async () => {
    const started = await postJson("StartConversation", { message: hello });
    expect(Object.keys(started).sort()).toEqual(["conversation_id", "reply", "title", "usage"]);
    const { conversation_id } = started;
    const continued = await postJson("ContinueConversation", { conversation_id, message: hello });
    expect(Object.keys(continued).sort()).toEqual(["conversation_id", "reply", "title", "usage"]);
    const described = (await postJson("DescribeConversation", { conversation_id })) as {
      conversation: { messages: Json[] };
    };
    expect(described).toMatchObject({ next_page_token: "" });
    expect(Object.keys(described.conversation).sort()).toEqual(["id", "messages", "timestamp", "title"]);
    expect(described.conversation.messages.map(({ role }) => role)).toEqual([
      "USER",
      "ASSISTANT",
      "USER",
      "ASSISTANT",
    ]);
    for (const { timestamp } of described.conversation.messages) {
      expect(timestamp).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
    }
    expect(await postJson("ListConversations", {}, secretOf(newcomer))).toEqual({
      conversations: [],
      next_page_token: "",
    });
    const lift = edge.model.inject({ status: 500 });
    await post("StartConversation", JSON_TYPE, JSON.stringify({ message: "Are you there?" }));
    lift();
    const list = (await postJson("ListConversations", { page_size: 1 })) as { conversations: Json[] };
    expect(list.conversations[0]).toMatchObject({ title: "", messages: [] });
  });

  test("JSON may come in both cases", async () => {
    const { platform, userId, chatId } = newSession();
    const snake = { message: hello, session_metadata: { platform, user_id: userId, chat_id: chatId } };
    const camel = { message: hello, sessionMetadata: { platform, userId, chatId } };
    const first = await postJson("ContinueConversation", snake);
    const second = await postJson("ContinueConversation", camel);
    expect(second["conversation_id"]).toBe(first["conversation_id"]);
    const conversationId = first["conversation_id"];
    const one = await postJson("DescribeConversation", { conversationId, pageSize: 1 });
    const other = await postJson("DescribeConversation", { conversation_id: conversationId, page_size: 1 });
    expect(one).toEqual(other);
  });

  test("fields that the service does not know are ignored", async () => {
    const { platform, userId, chatId } = newSession();
    await postJson("StartConversation", {
      message: hello,
      temperature: 0.2,
      history: [{ role: "user" }],
      session_metadata: { platform, userId, chatId, locale: "ca" },
    });
    const { request, response } = original.StartConversation;
    const unknown: IBinaryWriter = new BinaryWriter();
    unknown.tag(100, WireType.Varint).uint64("18446744073709551615");
    unknown.tag(101, WireType.Bit64).fixed64(1);
    unknown.tag(102, WireType.LengthDelimited).bytes(new Uint8Array([0, 255]));
    unknown.tag(103, WireType.Bit32).fixed32(1);
    unknown.tag(104, WireType.StartGroup).tag(104, WireType.EndGroup);
    const extra = unknown.finish();
    const body = Buffer.concat([extra, request.toBinary({ message: hello }), extra]);
    const answer = await post("StartConversation", PROTOBUF, body);
    expect(answer.status, answer.body.toString()).toBe(200);
    expect(answer.headers["content-type"]).toBe(PROTOBUF);
    expect(response.fromBinary(answer.body).conversationId).toMatch(/^conv_/);
  });

  test.each([
    ["content-length: 0", { "content-length": 0 }],
    ["no length", { "transfer-encoding": "chunked" }],
  ])("an empty protobuf message is no bytes at all: %s", async (_what, headers) => {
    const answer = await post("ListConversations", PROTOBUF, undefined, headers);
    expect(answer.status).toBe(200);
    expect(original.ListConversations.response.fromBinary(answer.body).conversations).not.toEqual([]);
    const nothing = await post("ListConversations", PROTOBUF, undefined, {
      ...headers,
      ...secretOf(newcomer),
    });
    expect({ ...nothing, headers: {} }).toEqual({ status: 200, headers: {}, body: Buffer.alloc(0) });
    const start = await postWrong("StartConversation", PROTOBUF, undefined, headers);
    expect(start).toMatchObject({ status: 400, code: "invalid_argument", meta: { argument: "message" } });
  });

  test.each([
    "application/json; charset=utf-8",
    "Application/JSON",
    "application/protobuf; q=1",
    "Application/Protobuf",
  ])("content-type %s is understood", async (type) => {
    const { request } = original.StartConversation;
    const json = /json/i.test(type);
    const body = json ? JSON.stringify({ message: hello }) : request.toBinary({ message: hello });
    expect((await post("StartConversation", type, body)).status).toBe(200);
  });

  test.each([
    undefined,
    "",
    "text/plain",
    "application/x-protobuf",
    "application/grpc",
    "application/vnd.api+json",
  ])("content-type %s is a bad_route", async (type) => {
    const error = await postWrong("ListConversations", type, "{}");
    expect(error).toMatchObject({ status: 404, code: "bad_route", meta: { header: "content-type" } });
    expect(error["msg"]).toMatch(/content-type/i);
  });

  test.each([
    ["POST", `${SERVICE}/Forget`],
    ["POST", `${SERVICE}/listConversations`],
    ["POST", `${SERVICE}/`],
    ["POST", `${SERVICE}/ListConversations/`],
    ["POST", "/twirp/acai.chat.OtherService/ListConversations"],
    ["POST", "/twirp"],
    ["GET", `${SERVICE}/ListConversations`],
    ["PUT", `${SERVICE}/ListConversations`],
    ["DELETE", `${SERVICE}/DescribeConversation`],
  ])("%s %s is a bad_route, with a key and without", async (method, path) => {
    for (const key of [secretOf(ada), {}]) {
      const headers = { "content-type": JSON_TYPE, ...key };
      const answer = await send(edge.url, { method, path, headers, body: "{}" });
      expect(answer.status).toBe(404);
      expect(JSON.parse(answer.body.toString())).toMatchObject({ code: "bad_route" });
    }
  });

  test.each([
    ["nothing", ""],
    ["half a value", '{"message":"Hel'],
    ["null", "null"],
    ["a list", "[]"],
    ["text", '"Hello"'],
    ["a number for text", '{"message":5}'],
    ["text for a message", '{"message":"Hello","session_metadata":"cli"}'],
    ["text for a number", '{"page_size":"many"}', "ListConversations"],
    ["a number beyond int32", '{"page_size":2147483648}', "ListConversations"],
  ])("malformed JSON: %s", async (_what, body, method = "StartConversation") => {
    expect(await postWrong(method, JSON_TYPE, body)).toMatchObject({ status: 400, code: "malformed" });
  });

  test.each([
    ["a length beyond the end", [0x0a, 0x20, 0x48]],
    ["a tag without a field", [0x00]],
    ["a wire type that there is not", [0x0f, 0x01]],
    ["a varint without end", [0x0a, ...new Array<number>(11).fill(0xff)]],
    ["text that is not UTF-8", [0x0a, 0x02, 0xc3, 0x28]],
    ["JSON", [...Buffer.from('{"message":"Hello"}')]],
    ["a group without end", [0x13, 0x08, 0x01]],
  ])("malformed protobuf: %s", async (_what, bytes) => {
    const error = await postWrong("StartConversation", PROTOBUF, new Uint8Array(bytes));
    expect(error).toMatchObject({ status: 400, code: "malformed" });
  });

  test("protobuf in a JSON request, and the other way round, is malformed", async () => {
    const bytes = original.StartConversation.request.toBinary({ message: hello });
    expect(await postWrong("StartConversation", JSON_TYPE, bytes)).toMatchObject({ code: "malformed" });
  });
});
