import { readdir, readFile } from "node:fs/promises";
import { connect } from "node:net";
import { createDynamoClient } from "@parley/core/conversation/dynamo-client";
import { DynamoStore } from "@parley/core/conversation/dynamo-store";
import { httpStatus } from "@parley/core/error";
import { localConfig } from "@parley/local/local-config";
import { type Stack, startStack } from "@parley/local/stack";
import type { JsonValue } from "@protobuf-ts/runtime";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Conversation, type Method, original, type ResponseOf, Role } from "../support/chat-protocol.ts";
import { type Edge, newKey, startEdge } from "../support/edge.ts";
import { removeTemporaryFolders, temporaryFolder } from "../support/parley.ts";
import { seed } from "../support/seed.ts";

const FIXTURES = new URL("../fixtures/", import.meta.url);
const recorded = (await readdir(FIXTURES)).filter((name) => name.endsWith(".http")).sort();

/** The conversation that the recordings name. */
const ID = "conv_01m81xesxph6nrc2e9qzxpy9wx";
const QUESTION = "Remember that my dog is called Laika";

type RawAnswer = { status: number; headers: Map<string, string>; body: Buffer };

/** The recorded bytes, as they are, on a connection of their own. */
async function replay(url: string, name: string): Promise<RawAnswer> {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  socket.write(await readFile(new URL(name, FIXTURES)));
  let bytes = Buffer.alloc(0);
  for await (const chunk of socket as AsyncIterable<Buffer>) {
    bytes = Buffer.concat([bytes, chunk]);
    const answer = parse(bytes);
    if (answer) return answer;
  }
  throw new Error(`the connection ended after ${bytes.length} bytes`);
}

/** Undefined until it is whole. */
function parse(bytes: Buffer): RawAnswer | undefined {
  const end = bytes.indexOf("\r\n\r\n");
  if (end === -1) return undefined;
  const [first = "", ...lines] = bytes.subarray(0, end).toString("latin1").split("\r\n");
  const headers = new Map(
    lines.map((line): [string, string] => {
      const colon = line.indexOf(":");
      return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
    }),
  );
  const body = bytes.subarray(end + 4);
  const status = Number(/^HTTP\/1\.1 (\d{3}) /.exec(first)?.[1]);
  return body.length === Number(headers.get("content-length")) ? { status, headers, body } : undefined;
}

/** As Go's generated clients read an answer: of their own protocol, and unknown fields discarded. */
function read<M extends Method>(name: string, method: M, { status, headers, body }: RawAnswer) {
  expect(status, body.toString()).toBe(200);
  expect(headers.get("content-encoding")).toBeUndefined();
  const { response } = original[method];
  const protobuf = name.startsWith("go-protobuf");
  expect(headers.get("content-type")).toBe(protobuf ? "application/protobuf" : "application/json");
  const message = protobuf
    ? response.fromBinary(body)
    : response.fromJson(JSON.parse(body.toString()) as JsonValue, { ignoreUnknownFields: true });
  return message as ResponseOf<typeof original, M>;
}

/** As Go's clients read a failure: JSON whatever was sent, no field but these three, strings only, a code they know. */
function readError({ status, headers, body }: RawAnswer) {
  expect(headers.get("content-type")).toBe("application/json");
  const { code, msg, meta, ...rest } = JSON.parse(body.toString()) as Record<string, unknown>;
  expect(rest).toEqual({});
  expect(msg).toEqual(expect.any(String));
  expect(Object.values(meta as object).every((value) => typeof value === "string")).toBe(true);
  expect(httpStatus).toHaveProperty(String(code), status);
  return code;
}

let stack: Stack;
beforeAll(async () => {
  stack = await startStack({ env: {}, dataDir: await temporaryFolder() });
});
afterAll(async () => {
  await stack.close();
  await removeTemporaryFolders();
});

test("the recordings are whole", async () => {
  for (const name of recorded) {
    const bytes = await readFile(new URL(name, FIXTURES));
    const end = bytes.indexOf("\r\n\r\n");
    const length = /\r\nContent-Length: (\d+)/.exec(bytes.subarray(0, end).toString("latin1"))?.[1];
    expect(bytes.length - end - 4, name).toBe(Number(length));
  }
});

describe("a conversation that is not there", () => {
  test.each(recorded.filter((name) => /(?:continue|describe)\.http$/.test(name) && name.startsWith("go")))(
    "%s is told so",
    async (name) => {
      expect(readError(await replay(stack.url, name))).toBe("not_found");
    },
  );
});

describe("the recorded requests are answered", () => {
  beforeAll(async () => {
    const endpoint = stack.env["AWS_ENDPOINT_URL_DYNAMODB"];
    if (endpoint === undefined) throw new Error("the stack has no store");
    const client = createDynamoClient(localConfig(endpoint));
    await seed(new DynamoStore({ client, table: "parley" }), {
      owner: "anyone",
      id: ID,
      title: "A dog",
      turns: [{ message: QUESTION, reply: "Noted." }],
    });
    client.destroy();
  });

  const named = (client: string) => recorded.filter((name) => name.startsWith(client));

  test.each(named("go").filter((name) => /-start(?:-session)?\.http$/.test(name)))("%s", async (name) => {
    const answer = read(name, "StartConversation", await replay(stack.url, name));
    expect(answer.conversationId).toMatch(/^conv_/);
    expect(answer.title).not.toBe("");
    expect(answer.reply).not.toBe("");
  });

  test.each(named("go").filter((name) => /-continue(?:-session)?\.http$/.test(name)))("%s", async (name) => {
    expect(read(name, "ContinueConversation", await replay(stack.url, name)).reply).not.toBe("");
  });

  test.each(named("go").filter((name) => name.endsWith("-describe.http")))("%s", async (name) => {
    const { conversation } = read(name, "DescribeConversation", await replay(stack.url, name));
    expect(conversation).toMatchObject({ id: ID, title: "A dog" });
    expect(conversation?.messages.slice(0, 2)).toMatchObject([
      { role: Role.USER, content: QUESTION },
      { role: Role.ASSISTANT, content: "Noted." },
    ]);
    for (const message of conversation?.messages ?? []) expectRecent(message.timestamp?.seconds);
  });

  test.each(named("go").filter((name) => name.endsWith("-list.http")))("%s", async (name) => {
    const { conversations } = read(name, "ListConversations", await replay(stack.url, name));
    expect(conversations.map(({ id }: Conversation) => id)).toContain(ID);
    for (const conversation of conversations) {
      expect(conversation.messages).toEqual([]);
      expectRecent(conversation.timestamp?.seconds);
    }
  });

  test.each(named("python"))("%s", async (name) => {
    const { status, body } = await replay(stack.url, name);
    expect(status).toBe(200);
    expect((JSON.parse(body.toString("utf8")) as { reply: string }).reply).not.toBe("");
  });

  test("two messages of one chat are one conversation, whoever sends them", async () => {
    await replay(stack.url, "python-continue.http");
    const before = await messageCount();
    await replay(stack.url, "go-json-continue-session.http");
    await replay(stack.url, "go-protobuf-continue-session.http");
    expect(await messageCount()).toBe(before + 4);
  });

  /** Messages of the conversation with the newest activity. */
  async function messageCount(): Promise<number> {
    const page = (await (await fetch(`${stack.url}/v1/conversations?page_size=1`)).json()) as {
      conversations: { id: string }[];
    };
    const whole = await fetch(`${stack.url}/v1/conversations/${page.conversations[0]?.id}/export`);
    return ((await whole.json()) as { messages: unknown[] }).messages.length;
  }
});

describe("where keys are asked for", () => {
  let edge: Edge;
  beforeAll(async () => {
    edge = await startEdge({ keys: [newKey("ada")], together: true });
  });
  afterAll(() => edge.close());

  test.each(recorded)("%s is told so", async (name) => {
    await edge.forgiveFailures();
    expect(readError(await replay(edge.url, name))).toBe("unauthenticated");
  });
});

function expectRecent(seconds: bigint | undefined) {
  const age = Date.now() / 1000 - Number(seconds);
  expect(age).toBeGreaterThan(-1);
  expect(age).toBeLessThan(600);
}
