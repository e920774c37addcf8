import { execFile } from "node:child_process";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { create, type DescField, type DescMessage, toBinary } from "@bufbuild/protobuf";
import { routes } from "@parley/functions/api/routes";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  ChatService,
  ContinueConversationResponseSchema,
  file_acai_chat_chat as file,
  StartConversationRequestSchema,
} from "../../packages/functions/src/generated/acai/chat/chat_pb.js";
import { quietEnvironment } from "../support/process.ts";

const FUNCTIONS = fileURLToPath(new URL("../../packages/functions/", import.meta.url));
const BIN = fileURLToPath(new URL("../../node_modules/.bin/", import.meta.url));

type Fields = Readonly<Record<string, string>>;

/** The original service's, as its clients have them compiled in: number and type by name. */
const ORIGINAL: Readonly<Record<string, Fields>> = {
  SessionMetadata: { platform: "1 string", user_id: "2 string", chat_id: "3 string" },
  StartConversationRequest: { message: "1 string", session_metadata: "2 SessionMetadata" },
  StartConversationResponse: { conversation_id: "1 string", title: "2 string", reply: "3 string" },
  ContinueConversationRequest: {
    conversation_id: "1 string",
    message: "2 string",
    session_metadata: "3 SessionMetadata",
  },
  ContinueConversationResponse: { reply: "1 string" },
  ListConversationsRequest: {},
  ListConversationsResponse: { conversations: "1 repeated Conversation" },
  DescribeConversationRequest: { conversation_id: "1 string" },
  DescribeConversationResponse: { conversation: "1 Conversation" },
  Conversation: {
    id: "1 string",
    title: "2 string",
    timestamp: "3 google.protobuf.Timestamp",
    messages: "4 repeated Conversation.Message",
  },
  "Conversation.Message": {
    id: "1 string",
    role: "2 Conversation.Role",
    content: "3 string",
    timestamp: "4 google.protobuf.Timestamp",
  },
};

/** Ours. Once there, they stay as well. */
const ADDED: Readonly<Record<string, Fields>> = {
  StartConversationResponse: { usage: "4 Usage" },
  ContinueConversationResponse: { conversation_id: "2 string", title: "3 string", usage: "4 Usage" },
  Usage: { model: "1 string", input_tokens: "2 int32", cached_tokens: "3 int32", output_tokens: "4 int32" },
  ListConversationsRequest: { page_size: "1 int32", page_token: "2 string" },
  ListConversationsResponse: { next_page_token: "2 string" },
  DescribeConversationRequest: { page_size: "2 int32", page_token: "3 string" },
  DescribeConversationResponse: { next_page_token: "2 string" },
};

const SCALARS: Readonly<Record<number, string>> = { 5: "int32", 9: "string" };
const localName = (typeName: string) => typeName.replace(/^acai\.chat\./, "");

function describeField(field: DescField): string {
  const type = field.message ?? field.enum;
  const name = type ? localName(type.typeName) : (SCALARS[field.scalar ?? 0] ?? `scalar ${field.scalar}`);
  return `${field.number} ${field.fieldKind === "list" ? "repeated " : ""}${name}`;
}

const fieldsOf = (message: DescMessage) =>
  Object.fromEntries(message.fields.map((field) => [field.name, describeField(field)]));

const messagesOf = (messages: readonly DescMessage[]): DescMessage[] =>
  messages.flatMap((message) => [message, ...messagesOf(message.nestedMessages)]);

describe("the wire contract", () => {
  const messages = messagesOf(file.messages);

  test("is proto3, of the original's package", () => {
    expect(file.proto).toMatchObject({ package: "acai.chat", syntax: "proto3" });
  });

  test("has the original's messages, ours and no other", () => {
    const names = messages.map(({ typeName }) => localName(typeName));
    expect(names.sort()).toEqual([...new Set([...Object.keys(ORIGINAL), ...Object.keys(ADDED)])].sort());
  });

  test.each(messages.map((message) => [localName(message.typeName), message] as const))(
    "%s has the original's fields, and ours under new numbers",
    (name, message) => {
      const original = ORIGINAL[name] ?? {};
      const added = ADDED[name] ?? {};
      expect(fieldsOf(message)).toEqual({ ...original, ...added });
      const highest = Math.max(0, ...Object.values(original).map((field) => Number.parseInt(field, 10)));
      for (const field of Object.values(added)) expect(Number.parseInt(field, 10)).toBeGreaterThan(highest);
    },
  );

  test("has the original's roles", () => {
    const enums = [...file.enums, ...messages.flatMap(({ nestedEnums }) => nestedEnums)];
    const described = enums.map(({ typeName, values }) => [
      localName(typeName),
      Object.fromEntries(values.map(({ name, number }) => [name, number])),
    ]);
    expect(described).toEqual([["Conversation.Role", { UNKNOWN: 0, USER: 1, ASSISTANT: 2 }]]);
  });

  test("has the original's four methods, each with a route", () => {
    const names = ["StartConversation", "ContinueConversation", "ListConversations", "DescribeConversation"];
    expect(file.services.map(({ typeName }) => typeName)).toEqual(["acai.chat.ChatService"]);
    const methods = ChatService.methods.map(({ name, methodKind, input, output }) => ({
      name,
      methodKind,
      input: localName(input.typeName),
      output: localName(output.typeName),
    }));
    expect(methods).toEqual(
      names.map((name) => ({
        name,
        methodKind: "unary",
        input: `${name}Request`,
        output: `${name}Response`,
      })),
    );
    const routed = routes.filter(({ path }) => path.startsWith("/twirp/")).map(({ path }) => path);
    expect(routed).toEqual(names.map((name) => `/twirp/acai.chat.ChatService/${name}`));
  });

  test("is these bytes", () => {
    const request = create(StartConversationRequestSchema, {
      message: "hi",
      sessionMetadata: { platform: "a", userId: "b", chatId: "c" },
    });
    const sent = Buffer.from(toBinary(StartConversationRequestSchema, request)).toString("hex");
    expect(sent).toBe("0a02" + "6869" + "1209" + "0a0161" + "120162" + "1a0163");
    const response = create(ContinueConversationResponseSchema, {
      reply: "r",
      conversationId: "i",
      title: "t",
    });
    const received = Buffer.from(toBinary(ContinueConversationResponseSchema, response)).toString("hex");
    expect(received).toBe("0a0172" + "120169" + "1a0174");
  });
});

describe("its generated code", () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "parley-proto-"));
  });
  afterAll(() => rm(folder, { recursive: true }));

  /** `buf` finds the generator on PATH. */
  function buf(...args: string[]) {
    const inherited = quietEnvironment();
    const env = { ...inherited, PATH: `${BIN}${delimiter}${inherited["PATH"]}` };
    return promisify(execFile)(join(BIN, "buf"), args, { cwd: FUNCTIONS, env });
  }

  async function filesIn(root: string): Promise<Record<string, string>> {
    const entries = await readdir(root, { recursive: true, withFileTypes: true });
    const paths = entries
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name));
    const files = paths.map(async (path) => [path.slice(root.length), await readFile(path, "utf8")]);
    return Object.fromEntries(await Promise.all(files));
  }

  test("comes from a contract that lints clean", async () => {
    expect(await buf("lint")).toEqual({ stdout: "", stderr: "" });
  });

  test("is current: `npm run generate` would change nothing", async () => {
    await buf("generate", "--output", folder);
    const fresh = await filesIn(join(folder, "src/generated"));
    expect(Object.keys(fresh)).toHaveLength(2);
    expect(await filesIn(join(FUNCTIONS, "src/generated"))).toEqual(fresh);
  });
});
