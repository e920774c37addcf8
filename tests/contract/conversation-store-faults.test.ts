import type { ConversationStore } from "@parley/core/conversation/conversation-store";
import { createDynamoClient } from "@parley/core/conversation/dynamo-client";
import { DynamoStore } from "@parley/core/conversation/dynamo-store";
import { tableDefinition } from "@parley/core/conversation/dynamo-table";
import { ensureTable } from "@parley/local/dynamodb/ensure-table";
import type { FaultKind } from "@parley/local/dynamodb/faults";
import { startDynamo } from "@parley/local/dynamodb/server";
import { ConfiguredRetryStrategy } from "@smithy/core/retry";
import { describe, type TestContext, test } from "vitest";
import {
  begin,
  conversationOf,
  holderOf,
  LEASE_MS,
  leaseFrom,
  NOW,
  replyOf,
  sessionClaim,
  turnToBegin,
} from "../support/stored-turns.ts";

const TABLE = "conversations";

type Finish = TestContext["onTestFinished"];

async function startStore(onTestFinished: Finish) {
  const dynamo = await startDynamo();
  onTestFinished(() => dynamo.close());
  await ensureTable(dynamo.url, tableDefinition(TABLE));
  const credentials = { accessKeyId: "local", secretAccessKey: "local" };
  // As many tries as the SDK makes by itself, without its waits.
  const retryStrategy = new ConfiguredRetryStrategy(4, () => 10);
  const client = createDynamoClient({
    endpoint: dynamo.url,
    region: "us-east-1",
    credentials,
    retryStrategy,
  });
  onTestFinished(() => client.destroy());
  return { dynamo, store: new DynamoStore({ client, table: TABLE }) };
}

const session = sessionClaim({ chatId: "chat" });
const first = turnToBegin({ session });
const { conversationId } = first;
const second = turnToBegin({ conversationId, turnCount: 1, session });
const replies = [replyOf("first"), replyOf("second")] as const;
const claim = leaseFrom(NOW + LEASE_MS);
const opened = (request: typeof first, seq: number) => ({ ...request, seq, createdAt: request.now });

/** Every method once, in an order in which each does something. */
const life: Record<string, (store: ConversationStore) => Promise<unknown>> = {
  "begin the first turn": (store) => store.begin(first),
  "begin the next turn": (store) => store.begin(second),
  "begin a known turn": (store) => store.begin({ ...first, lease: claim }),
  "complete with a title": (store) =>
    store.complete(opened(first, 1), first.lease.holder, replies[0], "Title"),
  release: (store) => store.release(opened(second, 2), second.lease.holder),
  claim: (store) => store.claim(opened(second, 2), claim, NOW),
  complete: (store) => store.complete(opened(second, 2), claim.holder, replies[1]),
  load: (store) => store.load(conversationId, 5),
  turnsBefore: (store) => store.turnsBefore(conversationId, 2, 5),
  turn: (store) => store.turn(conversationId, 2),
  sessionConversation: (store) => store.sessionConversation("owner", session, 0),
  list: (store) => store.list("owner", { size: 5 }),
  turnsAfter: (store) => store.turnsAfter(conversationId, 0, 5),
};

const WRITES = ["TransactWriteItems", "UpdateItem"];

async function liveThrough(onTestFinished: Finish, fault?: FaultKind): Promise<Record<string, unknown>> {
  const { dynamo, store } = await startStore(onTestFinished);
  const told: Record<string, unknown> = {};
  for (const [name, call] of Object.entries(life)) {
    // Reads meet no rivals.
    const struck = fault === "conflict" ? WRITES : [undefined];
    const lifts = fault
      ? struck.map((operation) => dynamo.inject({ kind: fault, ...(operation && { operation }) }))
      : [];
    told[name] = await call(store);
    for (const lift of lifts) lift();
  }
  return told;
}

describe.concurrent("the DynamoDB store when DynamoDB fails", () => {
  test.for(["throttle", "error", "conflict", "drop-before", "drop-after"] as const)(
    "%s: every answer is what it is without, nothing is done twice",
    async (kind, { expect, onTestFinished }) => {
      const [calm, struck] = await Promise.all([
        liveThrough(onTestFinished),
        liveThrough(onTestFinished, kind),
      ]);
      expect(struck).toEqual(calm);
      expect(calm["turnsAfter"]).toMatchObject({
        turns: [{ reply: { text: "first" } }, { reply: { text: "second" } }],
      });
    },
  );
  test.for(["error", "throttle", "drop-before"] as const)(
    "%s: every method says unavailable and when to come back",
    async (kind, { expect, onTestFinished }) => {
      const { dynamo, store } = await startStore(onTestFinished);
      await conversationOf(store, 3, { conversationId });
      const before = await store.load(conversationId, 5);
      const lift = dynamo.inject({ kind, times: Number.POSITIVE_INFINITY });
      const failures = await Promise.all(
        Object.values(life).map((call) =>
          call(store).then(
            () => "nothing",
            (error: unknown) => error,
          ),
        ),
      );
      for (const failure of failures) {
        expect(failure).toMatchObject({ name: "AppError", code: "unavailable", meta: { retry_after: "1" } });
      }
      lift();
      expect(await store.load(conversationId, 5)).toEqual(before);
    },
  );

  test("rivals that always win: begin ends with its deadline, and nothing is stored", async ({
    expect,
    onTestFinished,
  }) => {
    const { dynamo, store } = await startStore(onTestFinished);
    dynamo.inject({ operation: "TransactWriteItems", kind: "conflict", times: Number.POSITIVE_INFINITY });
    const request = turnToBegin({ signal: AbortSignal.timeout(200) });
    await expect(store.begin(request)).rejects.toMatchObject({ code: "deadline_exceeded" });
    expect(await store.load(request.conversationId, 5)).toBeUndefined();
  });

  test("a hung store: reads and begin end with their deadline", async ({ expect, onTestFinished }) => {
    const { dynamo, store } = await startStore(onTestFinished);
    dynamo.inject({ kind: "hang", times: Number.POSITIVE_INFINITY });
    const signal = AbortSignal.timeout(300);
    const turn = opened(first, 1);
    const startedAt = performance.now();
    for (const call of [
      store.load(conversationId, 5, signal),
      store.begin(turnToBegin({ signal })),
      store.sessionConversation("owner", session, 0, signal),
      store.claim(turn, claim, NOW, signal),
      store.turnsBefore(conversationId, 2, 5, signal),
    ]) {
      await expect(call).rejects.toMatchObject({ code: "deadline_exceeded" });
    }
    expect(performance.now() - startedAt).toBeLessThan(1_500);
  });
  test("all answers to begin lost: the turn is stored once, and its turn id tells", async ({
    expect,
    onTestFinished,
  }) => {
    const { dynamo, store } = await startStore(onTestFinished);
    const request = turnToBegin();
    const lift = dynamo.inject({ kind: "drop-after", times: Number.POSITIVE_INFINITY });
    await expect(store.begin(request)).rejects.toMatchObject({ code: "unavailable" });
    lift();
    const retry = turnToBegin({ turnId: request.turnId });
    expect(await store.begin(retry)).toMatchObject({
      outcome: "known",
      turn: { seq: 1, lease: request.lease },
    });
    expect(await store.begin(request)).toMatchObject({ outcome: "begun", turn: { seq: 1 } });
    expect((await store.list("owner", { size: 5 })).items).toMatchObject([{ turnCount: 1 }]);
  });

  test.for([undefined, "Title"])(
    "all answers to complete with title %j lost: the reply is stored once",
    async (title, { expect, onTestFinished }) => {
      const { dynamo, store } = await startStore(onTestFinished);
      const turn = await begin(store);
      const reply = replyOf("once");
      const lift = dynamo.inject({ kind: "drop-after", times: Number.POSITIVE_INFINITY });
      await expect(store.complete(turn, holderOf(turn), reply, title)).rejects.toMatchObject({
        code: "unavailable",
      });
      lift();
      expect((await store.turn(turn.conversationId, 1))?.reply).toEqual(reply);
      expect(await store.complete(turn, holderOf(turn), reply, title)).toBe(true);
      expect(await store.complete(turn, holderOf(turn), replyOf("twice"), title)).toBe(false);
      expect(await store.claim(turn, claim, NOW + LEASE_MS)).toBeUndefined();
    },
  );
});
