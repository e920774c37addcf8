import { randomUUID } from "node:crypto";
import { DynamoDBClient } from "@aws-sdk/client-dynamodb";
import { BatchWriteCommand, DynamoDBDocumentClient, type QueryCommandOutput } from "@aws-sdk/lib-dynamodb";
import { headItem, type Item, turnItem } from "@parley/core/conversation/dynamo-items";
import { DynamoStore } from "@parley/core/conversation/dynamo-store";
import { tableDefinition } from "@parley/core/conversation/dynamo-table";
import type { Conversation } from "@parley/core/conversation/types";
import { newConversationId, newMessageId } from "@parley/core/id";
import { ensureTable } from "@parley/local/dynamodb/ensure-table";
import { startDynamo } from "@parley/local/dynamodb/server";
import { localConfig } from "@parley/local/local-config";
import { startRedisBackend } from "@parley/local/upstash/backend";
import { startUpstash } from "@parley/local/upstash/server";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { dynamoLocalProblem, startDynamoLocal } from "../support/dynamodb-local.ts";
import { apiKeysOf, type Functions, loadFunctions, newSecret } from "../support/in-process.ts";
import { fc } from "../support/property.ts";

const TABLE = "parley";
const COUNT = 1_000;
const OTHERS = 200;
const TURNS = 120;
const T0 = Date.UTC(2026, 0, 1);

const ada = newSecret("ada");
const bob = newSecret("bob");

const problem = dynamoLocalProblem();
if (problem) process.stdout.write(`skipped: paging on DynamoDB Local (${problem})\n`);

const engines: { name: string; start(): Promise<{ url: string; close(): Promise<void> }> }[] = [
  { name: "the dynalite front", start: startDynamo },
  ...(problem ? [] : [{ name: "DynamoDB Local", start: startDynamoLocal }]),
];

type Page = { conversations: { id: string; timestamp: string }[]; next_page_token: string };
type Messages = { conversation: { messages: { id: string; content: string }[] }; next_page_token: string };

describe.each(engines)("on $name", ({ start }) => {
  /** Newest first. */
  let conversations: Conversation[];
  let othersIds: string[];
  let client: DynamoDBDocumentClient;
  let functions: Functions;
  const closing: (() => unknown)[] = [];

  beforeAll(async () => {
    const [dynamo, backend] = await Promise.all([start(), startRedisBackend({ engine: "embedded" })]);
    const upstash = await startUpstash({ backend, token: "test" });
    await ensureTable(dynamo.url, tableDefinition(TABLE));
    client = DynamoDBDocumentClient.from(new DynamoDBClient(localConfig(dynamo.url)), {
      marshallOptions: { removeUndefinedValues: true },
    });
    functions = loadFunctions({
      API_KEYS: apiKeysOf(ada, bob),
      API_RATE_LIMIT_RPS: "100000",
      API_RATE_LIMIT_BURST: "100000",
      AWS_ENDPOINT_URL_DYNAMODB: dynamo.url,
      AWS_ACCESS_KEY_ID: "local",
      AWS_SECRET_ACCESS_KEY: "local",
      CONVERSATIONS_TABLE: TABLE,
      UPSTASH_REDIS_REST_URL: upstash.url,
      UPSTASH_REDIS_REST_TOKEN: upstash.token,
    });
    closing.push(
      () => backend.close(),
      () => dynamo.close(),
      () => upstash.close(),
      () => client.destroy(),
      () => functions.close(),
    );
    conversations = Array.from({ length: COUNT }, (_, i) => conversationOf("ada", i)).reverse();
    const others = Array.from({ length: OTHERS }, (_, i) => conversationOf("bob", i * 5));
    othersIds = others.map(({ id }) => id);
    await write([...conversations, ...others].map(headItem));
  });
  afterAll(async () => {
    for (const close of closing.splice(0).reverse()) await close();
  });

  const conversationOf = (owner: string, i: number): Conversation => {
    // Seven at a time have the same last activity: a cursor must not fall between them.
    const at = T0 + Math.floor(i / 7) * 1_000;
    return {
      id: newConversationId(at),
      owner,
      platform: "api",
      title: `${owner}'s ${i}`,
      turnCount: 1,
      createdAt: at,
      lastActivity: at,
    };
  };

  async function write(rows: Item[]): Promise<void> {
    for (let i = 0; i < rows.length; i += 25) {
      const puts = rows.slice(i, i + 25).map((row) => ({ PutRequest: { Item: row } }));
      await client.send(new BatchWriteCommand({ RequestItems: { [TABLE]: puts } }));
    }
  }

  /** A turn begins now: of a new conversation, or of one that is touched by it. */
  async function touch(conversation?: Conversation): Promise<string> {
    const now = Date.now();
    const conversationId = conversation?.id ?? newConversationId(now);
    await new DynamoStore({ client, table: TABLE }).begin({
      conversationId,
      turnCount: conversation?.turnCount ?? 0,
      owner: "ada",
      platform: "api",
      turnId: randomUUID(),
      digest: "",
      message: "hello",
      messageId: newMessageId(now),
      lease: { holder: "tester", until: now },
      now,
    });
    return conversationId;
  }

  async function list(query: string, { secret } = ada) {
    const answer = await functions.ask({
      target: `/v1/conversations?${query}`,
      headers: { "x-api-key": secret },
    });
    return { ...answer, page: answer.json as Page };
  }

  test("a walk sees each that stays as it is once, newest first, whatever is added and touched", async () => {
    const touchedBefore = new Set<string>();
    const touchedAfter = new Set<string>();
    const added = new Set<string>();
    const seen: Page["conversations"] = [];
    for (let token = "", pages = 0; pages === 0 || token !== ""; pages++) {
      const { status, page } = await list(`page_size=37&page_token=${token}`);
      expect(status).toBe(200);
      token = page.next_page_token;
      if (token !== "") expect(page.conversations).toHaveLength(37);
      seen.push(...page.conversations);
      added.add(await touch());
      const reached = Date.parse(seen.at(-1)!.timestamp);
      const ahead = conversations.find(
        ({ id, lastActivity }) => lastActivity < reached - 3_000 && !touchedBefore.has(id),
      );
      if (ahead) {
        touchedBefore.add(ahead.id);
        await touch(ahead);
      }
      // The very one that the page ended with, where the next begins.
      const last = conversations.find(({ id }) => id === seen.at(-1)?.id);
      if (last && pages % 3 === 0) {
        touchedAfter.add(last.id);
        await touch(last);
      }
    }
    expect(added.size).toBeGreaterThan(20);
    expect(touchedBefore.size).toBeGreaterThan(20);
    const ids = seen.map(({ id }) => id);
    expect(new Set(ids).size).toBe(ids.length);
    const times = seen.map(({ timestamp }) => timestamp);
    expect(times).toEqual([...times].sort().reverse());
    // A touched one is newest now: at the top of the next walk, and in this one only if it had been passed.
    const stayed = conversations.map(({ id }) => id).filter((id) => !touchedBefore.has(id));
    expect(new Set(ids)).toEqual(new Set(stayed));
    expect(ids.filter((id) => touchedAfter.has(id))).toHaveLength(touchedAfter.size);

    const { page: top } = await list("page_size=100");
    const newest = [...added, ...touchedBefore, ...touchedAfter];
    expect(new Set(top.conversations.slice(0, newest.length).map(({ id }) => id))).toEqual(new Set(newest));
  });

  test("a page costs one request and reads no item that it does not return, the last as the first", async () => {
    const outputs: QueryCommandOutput[] = [];
    const send: typeof client.send = async (command: { input: object }) => {
      Object.assign(command.input, { ReturnConsumedCapacity: "TOTAL" });
      const output: QueryCommandOutput = await (client.send as (command: unknown) => Promise<never>)(command);
      outputs.push(output);
      return output as never;
    };
    const store = new DynamoStore({ client: { send } as typeof client, table: TABLE });
    let pages = 0;
    for (let token: string | undefined; pages === 0 || token !== undefined; pages++) {
      const page = await store.list("ada", { size: 50, token });
      token = page.nextToken;
      const { Count, ScannedCount, ConsumedCapacity, Items } = outputs.at(-1)!;
      expect(Count).toBe(page.items.length);
      expect(ScannedCount).toBe(Count);
      // Half a unit for each 4 KB, as for any query that may lag; JSON is longer than what is counted.
      const most = 0.5 * Math.ceil(Buffer.byteLength(JSON.stringify(Items ?? [])) / 4_096);
      expect(ConsumedCapacity?.CapacityUnits).toBeLessThanOrEqual(Math.max(0.5, most));
    }
    expect(outputs).toHaveLength(pages);
    expect(pages).toBeGreaterThanOrEqual(COUNT / 50);
  });

  test("any page size from 1 to 100 goes on where the page before ended", async () => {
    const all = (await walk(100)).slice(0, 300);
    expect(await walk(1, 5)).toEqual(all.slice(0, 5));
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 100 }),
        fc.integer({ min: 1, max: 3 }),
        async (size, pages) => {
          expect(await walk(size, pages)).toEqual(all.slice(0, size * pages));
        },
      ),
      { numRuns: 12 },
    );
    expect((await list("")).page.conversations).toHaveLength(50);
  });

  async function walk(size: number, pages = Number.POSITIVE_INFINITY): Promise<string[]> {
    const ids: string[] = [];
    for (let token = "", n = 0; n === 0 || (token !== "" && n < pages); n++) {
      const { page } = await list(`page_size=${size}&page_token=${token}`);
      ids.push(...page.conversations.map(({ id }) => id));
      token = page.next_page_token;
    }
    return ids;
  }

  test.each(["101", "-1", "0.5", "1e3", "abc", "50,50", "NaN", "Infinity", " ", "%00", "9".repeat(30)])(
    "page_size=%s is refused",
    async (size) => {
      const { status, json } = await list(`page_size=${size}`);
      expect(status).toBe(400);
      expect(json).toMatchObject({ code: "invalid_argument", meta: { argument: "page_size" } });
    },
  );

  const token = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url");
  test.each([
    ["text", "garbage"],
    ["not of JSON", "eyJ"],
    ["another shape", token(["conv_", 1])],
    ["null", token(null)],
    ["half of it", token({ at: T0 })],
    ["no id of ours", token({ id: "x", at: T0 })],
    ["an empty id", token({ id: "", at: T0 })],
    ["half a character", Buffer.from(`{"id":"\\ud800","at":${T0}}`).toString("base64url")],
    ["a long id", token({ id: "x".repeat(700), at: T0 })],
    ["a time that is none", token({ id: newConversationId(T0), at: -1 })],
    ["a fraction", token({ id: newConversationId(T0), at: 0.5 })],
    ["a number too large", Buffer.from(`{"id":"${newConversationId(T0)}","at":1e300}`).toString("base64url")],
    ["prototype", Buffer.from('{"__proto__":{"id":"x","at":1}}').toString("base64url")],
    ["a position among messages", token({ seq: 1, role: "user" })],
    ["too long", "A".repeat(1_001)],
  ])("a page token of %s is refused", async (_what, bad) => {
    const { status, json } = await list(`page_token=${bad}`);
    expect(status).toBe(400);
    expect(json).toMatchObject({ code: "invalid_argument", meta: { argument: "page_token" } });
  });

  test("another owner's page token shows nothing of theirs", async () => {
    const first = await list("page_size=3", bob);
    expect(first.page.conversations.map(({ id }) => othersIds.includes(id))).toEqual([true, true, true]);
    const { text } = await list(`page_size=100&page_token=${first.page.next_page_token}`);
    for (const id of othersIds) expect(text).not.toContain(id);
    expect(text).not.toContain("bob");
  });

  test("messages page oldest first, each once, while turns are added", async () => {
    const id = newConversationId(T0);
    const turn = (seq: number) =>
      turnItem({
        conversationId: id,
        seq,
        turnId: `t${seq}`,
        digest: "",
        message: `question ${seq}`,
        messageId: newMessageId(T0 + seq),
        createdAt: T0 + seq,
        reply: {
          text: `answer ${seq}`,
          messageId: newMessageId(T0 + seq),
          at: T0 + seq,
          steps: [],
          usage: { input: 1, output: 1, cached: 0 },
          tokens: 2,
          model: "m",
          promptVersion: "p",
        },
      });
    const head = headItem({ ...conversationOf("ada", 0), id, turnCount: TURNS });
    await write([head, ...Array.from({ length: TURNS }, (_, i) => turn(i + 1))]);
    const texts: string[] = [];
    let seq = TURNS;
    for (let next = "", pages = 0; pages === 0 || next !== ""; pages++) {
      const { json, status } = await functions.ask({
        target: `/v1/conversations/${id}?page_size=7&page_token=${next}`,
        headers: { "x-api-key": ada.secret },
      });
      expect(status).toBe(200);
      const page = json as Messages;
      next = page.next_page_token;
      texts.push(...page.conversation.messages.map(({ content }) => content));
      if (pages < 5) await write([turn(++seq)]);
    }
    const expected = Array.from({ length: seq }, (_, i) => [`question ${i + 1}`, `answer ${i + 1}`]).flat();
    expect(texts).toEqual(expected);
  });
});
