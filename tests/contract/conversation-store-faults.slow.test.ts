import type { ConversationStore } from "@parley/core/conversation/conversation-store";
import { startDynamo } from "@parley/local/dynamodb/server";
import type { Fault, FaultKind } from "@parley/local/faults";
import { startMongo } from "@parley/local/mongodb/server";
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
import { dynamoStores, mongoStores } from "../support/stores.ts";

type Finish = TestContext["onTestFinished"];

/** A store, and what makes its requests fail. */
type Engine = {
  store: ConversationStore;
  /** `operation` is an engine's own name of a request. */
  inject(fault: Fault): () => void;
};

async function startDynamoStore(onTestFinished: Finish): Promise<Engine> {
  const { inject, ...dynamo } = await startDynamo();
  // As many tries as the SDK makes by itself, without its waits.
  const withoutWaits = () => ({ retryStrategy: new ConfiguredRetryStrategy(4, () => 10) });
  const stores = await dynamoStores(dynamo, withoutWaits);
  onTestFinished(stores.close);
  return { store: stores.store(), inject };
}

async function startMongoStore(onTestFinished: Finish): Promise<Engine> {
  const { inject, ...mongo } = await startMongo({ transactionLifetimeMs: 1_000 });
  const stores = await mongoStores(mongo);
  onTestFinished(stores.close);
  const store = stores.store();
  // It looks at the indexes once.
  await begin(store, { owner: "another" });
  return { store, inject };
}

/** Each engine, its requests that can meet a rival, and those that a transaction begins and ends with. */
const ENGINES = [
  {
    name: "DynamoDB",
    start: startDynamoStore,
    writes: ["TransactWriteItems", "UpdateItem", "PutItem"],
    begins: "TransactWriteItems",
    commits: "TransactWriteItems",
  },
  {
    name: "MongoDB",
    start: startMongoStore,
    writes: [undefined],
    begins: "findAndModify",
    commits: "commitTransaction",
  },
];

const session = sessionClaim({ chatId: "chat" });
const elsewhere = sessionClaim({ chatId: "another chat" });
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
  summarise: (store) => store.summarise(conversationId, { text: "Hello was said", upToSeq: 1, tokens: 4 }),
  moveSession: (store) => store.moveSession("owner", session, elsewhere),
  "sessionConversation of the other chat": (store) => store.sessionConversation("owner", elsewhere, 0),
  leaveSession: (store) => store.leaveSession("owner", session, NOW),
  ping: (store) => store.ping(),
  erase: (store) => store.erase("owner", conversationId),
};

async function liveThrough(
  { store, inject }: Engine,
  struck: readonly (string | undefined)[],
  fault?: FaultKind,
): Promise<Record<string, unknown>> {
  const told: Record<string, unknown> = {};
  for (const [name, call] of Object.entries(life)) {
    const lifts = fault
      ? struck.map((operation) => inject({ kind: fault, ...(operation && { operation }) }))
      : [];
    told[name] = await call(store);
    for (const lift of lifts) lift();
  }
  return told;
}

describe.concurrent.each(ENGINES)(
  "the store on $name when it fails",
  ({ start, writes, begins, commits }) => {
    test.for(["throttle", "error", "conflict", "drop-before", "drop-after"] as const)(
      "%s: every answer is what it is without, nothing is done twice",
      async (kind, { expect, onTestFinished }) => {
        const engines = await Promise.all([start(onTestFinished), start(onTestFinished)]);
        const calm = await liveThrough(engines[0], []);
        // Reads meet no rivals.
        const struck = await liveThrough(engines[1], kind === "conflict" ? writes : [undefined], kind);
        expect(struck).toEqual(calm);
        expect(calm["turnsAfter"]).toMatchObject({
          turns: [{ reply: { text: "first" } }, { reply: { text: "second" } }],
        });
      },
    );
    test.for(["error", "throttle", "drop-before"] as const)(
      "%s: every method says unavailable and when to come back",
      async (kind, { expect, onTestFinished }) => {
        const { inject, store } = await start(onTestFinished);
        await conversationOf(store, 3, { conversationId });
        const before = await store.load(conversationId, 5);
        const lift = inject({ kind, times: Number.POSITIVE_INFINITY });
        const failures = await Promise.all(
          Object.values(life).map((call) =>
            call(store).then(
              () => "nothing",
              (error: unknown) => error,
            ),
          ),
        );
        for (const failure of failures) {
          expect(failure).toMatchObject({
            name: "AppError",
            code: "unavailable",
            meta: { retry_after: "1" },
          });
        }
        lift();
        expect(await store.load(conversationId, 5)).toEqual(before);
      },
    );

    test("rivals that always win: begin ends with its deadline, and nothing is stored", async ({
      expect,
      onTestFinished,
    }) => {
      const { inject, store } = await start(onTestFinished);
      inject({ operation: begins, kind: "conflict", times: Number.POSITIVE_INFINITY });
      const request = turnToBegin({ signal: AbortSignal.timeout(200) });
      await expect(store.begin(request)).rejects.toMatchObject({ code: "deadline_exceeded" });
      expect(await store.load(request.conversationId, 5)).toBeUndefined();
    });

    test("a hung store: reads and begin end with their deadline", async ({ expect, onTestFinished }) => {
      const { inject, store } = await start(onTestFinished);
      inject({ kind: "hang", times: Number.POSITIVE_INFINITY });
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
      const { inject, store } = await start(onTestFinished);
      const request = turnToBegin();
      const lift = inject({ operation: commits, kind: "drop-after", times: Number.POSITIVE_INFINITY });
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
        const { inject, store } = await start(onTestFinished);
        const turn = await begin(store);
        const reply = replyOf("once");
        const operation = title === undefined ? {} : { operation: commits };
        const lift = inject({ ...operation, kind: "drop-after", times: Number.POSITIVE_INFINITY });
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

    /** From request number `after` on nothing gets through, as for a process that dies there. */
    const dieAt = ({ inject }: Engine, after: number, kind: FaultKind) =>
      inject({ kind, after, times: Number.POSITIVE_INFINITY });

    test.for(["drop-before", "drop-after"] as const)(
      "who dies at any request of begin (%s) leaves the turn whole or not at all, and its turn id finds it",
      { timeout: 60_000 },
      async (kind, { expect, onTestFinished }) => {
        const engine = await start(onTestFinished);
        const { store } = engine;
        for (let after = 0; ; after++) {
          const chat = sessionClaim();
          const { conversationId: id } = await begin(store, { session: chat });
          const request = turnToBegin({ conversationId: id, turnCount: 1, session: chat });
          const lift = dieAt(engine, after, kind);
          const died = await store.begin(request).then(
            () => false,
            () => true,
          );
          lift();
          if (!died) {
            expect(after).toBeGreaterThan(0);
            return;
          }
          const found = await store.load(id, 5);
          expect(found?.turns).toHaveLength(found?.conversation.turnCount ?? 0);
          const retry = turnToBegin({ ...request, lease: leaseFrom(NOW) });
          const begun = await store.begin(retry);
          expect(begun).toMatchObject({ turn: { conversationId: id, seq: 2, turnId: request.turnId } });
          const rival = await begin(store, { conversationId: id, turnCount: 1, session: chat });
          expect(rival.seq).toBe(3);
          expect(await store.sessionConversation("owner", chat, 0)).toBe(id);
        }
      },
    );

    test.for(["drop-before", "drop-after"] as const)(
      "who dies at any request of erase (%s) leaves a conversation that is whole or gone, and another erase removes the rest",
      { timeout: 60_000 },
      async (kind, { expect, onTestFinished }) => {
        const engine = await start(onTestFinished);
        const { store } = engine;
        for (let after = 0; ; after++) {
          const chat = sessionClaim();
          const id = await conversationOf(store, 3, { session: chat });
          const lift = dieAt(engine, after, kind);
          const died = await store.erase("owner", id).then(
            () => false,
            () => true,
          );
          lift();
          const listed = (await store.list("owner", { size: 100 })).items.some((each) => each.id === id);
          const found = await store.load(id, 5);
          expect(listed).toBe(found !== undefined);
          if (found) expect(found.turns).toHaveLength(3);
          else {
            const late = turnToBegin({ conversationId: id, turnCount: 3 });
            await expect(store.begin(late)).rejects.toMatchObject({ code: "not_found" });
          }
          await store.erase("owner", id);
          expect(await store.load(id, 5)).toBeUndefined();
          expect(await store.turnsAfter(id, 0, 5)).toEqual({ turns: [], more: false });
          expect(await store.sessionConversation("owner", chat, 0)).toBeUndefined();
          if (!died) {
            expect(after).toBeGreaterThan(1);
            return;
          }
        }
      },
    );
  },
);
