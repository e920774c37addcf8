import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import type { TurnResult } from "@parley/core/conversation/turns";
import { Deadline } from "@parley/core/resilience/deadline";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { OWNER, type Rig, startRig } from "../support/rig.ts";
import { trafficOf } from "../support/traffic.ts";

/** Nothing starts without time left, and what was accepted waits for its retry. */

const SHORT_MS = 700;
/** For a busy machine; what overlooks its deadline takes as long as a time limit, 3 s and more. */
const SLACK_MS = 2_000;

type Worker = ReturnType<Rig["worker"]>;

let rig: Rig;
let worker: Worker;
let lift: () => void = () => {};

beforeAll(async () => {
  rig = await startRig();
});
afterAll(() => rig?.close());
beforeEach(() => {
  worker = rig.worker();
  rig.model.reset();
  rig.weather.reset();
});
afterEach(() => {
  lift();
  rig.upstash.fault = undefined;
});

const newAsk = (message: string) => ({
  owner: OWNER,
  session: { platform: "telegram", userId: "user", chatId: randomUUID() },
  message,
  turnId: randomUUID(),
});
type Ask = ReturnType<typeof newAsk>;

const converse = (ask: Ask, deadline = rig.deadline(), by = worker): Promise<TurnResult> =>
  by.conversations.converse({ ...ask, deadline });

async function openTurn(ask: Ask) {
  const id = await worker.store.sessionConversation(ask.owner, ask.session, 0);
  return id === undefined ? undefined : worker.store.turn(id, 1);
}

async function timed(work: Promise<unknown>) {
  const startedAt = performance.now();
  const error = await work.then(
    () => undefined,
    (cause: unknown) => cause,
  );
  return { error, tookMs: performance.now() - startedAt };
}

/** The turn is stored, nobody holds it, and the same turn id completes it at once. */
async function expectOpenThenComplete(ask: Ask, expected: RegExp) {
  const open = await openTurn(ask);
  expect(open).toMatchObject({ seq: 1, message: ask.message, turnId: ask.turnId });
  expect(open?.lease).toBeUndefined();
  expect(open?.reply).toBeUndefined();
  const result = await converse(ask, rig.deadline(), rig.worker());
  expect(result).toMatchObject({ replayed: false, conversationId: open?.conversationId });
  expect(result.reply.text).toMatch(expected);
  expect(await worker.store.turnsAfter(result.conversationId, 0, 9)).toMatchObject({
    turns: [{ seq: 1, messageId: open?.messageId, reply: result.reply }],
  });
}

describe("a deadline", () => {
  test("of 1 s ends a turn whose model hangs: it is open and released, and nothing starts after", async () => {
    lift = rig.model.inject({ hang: true });
    const ask = newAsk("What's the weather in Barcelona?");
    const { error, tookMs } = await timed(converse(ask, new Deadline(1_000)));
    expect(error).toMatchObject({ code: "deadline_exceeded", meta: { retry_after: "1" } });
    expect(tookMs).toBeGreaterThan(950);
    expect(tookMs).toBeLessThan(1_000 + SLACK_MS);

    const after = await trafficOf(rig, () => sleep(700));
    expect(after).toMatchObject({
      store: { requests: 0 },
      redis: { requests: 0 },
      model: { requests: 0 },
      weather: { requests: 0 },
    });
    lift();
    await expectOpenThenComplete(ask, /Barcelona.*simulated/s);
  });

  test("while it lasts the turn is in progress for everybody else", async () => {
    lift = rig.model.inject({ hang: true });
    const ask = newAsk("Hello!");
    const held = timed(converse(ask, new Deadline(1_500)));
    // The reply and the title are asked for.
    while (rig.model.total() < 2) await sleep(10);
    await expect(converse(ask, rig.deadline(), rig.worker())).rejects.toMatchObject({
      code: "aborted",
      meta: { retry_after: "5" },
    });
    expect(rig.model.total()).toBe(2);
    await held;
    lift();
    await expectOpenThenComplete(ask, /./);
  });

  test("ends a turn whose tool hangs, and the model is not asked again", async () => {
    lift = rig.weather.inject({ hang: true });
    const ask = newAsk("What's the weather in Lisbon?");
    const { error, tookMs } = await timed(converse(ask, new Deadline(SHORT_MS)));
    expect(error).toMatchObject({ code: "deadline_exceeded" });
    expect(tookMs).toBeLessThan(SHORT_MS + SLACK_MS);
    const after = await trafficOf(rig, () => sleep(300));
    expect(after).toMatchObject({ model: { requests: 0 }, weather: { requests: 0 } });
    lift();
    await expectOpenThenComplete(ask, /Lisbon.*simulated/s);
  });

  test("is not slept through: a model that wants 10 s is not asked again", async () => {
    lift = rig.model.inject({ status: 429, retryAfterSeconds: 10 });
    const ask = newAsk("Hello!");
    const { error, tookMs } = await timed(converse(ask, new Deadline(SHORT_MS)));
    expect(error).toMatchObject({ code: "unavailable", meta: { retry_after: "10" } });
    expect(tookMs).toBeLessThan(SLACK_MS);
    lift();
    await expectOpenThenComplete(ask, /./);
  });

  test("ends a turn whose store hangs", async () => {
    for (const operation of ["GetItem", "TransactWriteItems"]) {
      lift = rig.storeEngine.inject({ kind: "hang", operation, times: Number.POSITIVE_INFINITY });
      const ask = newAsk("What's the weather in Rome?");
      const { error, tookMs } = await timed(converse(ask, new Deadline(SHORT_MS)));
      lift();
      expect(error).toMatchObject({ code: "deadline_exceeded" });
      expect(tookMs).toBeLessThan(SHORT_MS + SLACK_MS);
      expect(rig.model.total()).toBe(0);
      expect((await converse(ask)).reply.text).toMatch(/Rome.*simulated/s);
      rig.model.reset();
    }
  });

  test("ends a retry whose store hangs, and the turn can still be retried", async () => {
    lift = rig.model.inject({ status: 400, times: 4 });
    const ask = newAsk("Hello!");
    await expect(converse(ask)).rejects.toThrow();
    lift();
    lift = rig.storeEngine.inject({
      kind: "hang",
      operation: "Query",
      after: 1,
      times: Number.POSITIVE_INFINITY,
    });
    const { error, tookMs } = await timed(converse(ask, new Deadline(SHORT_MS)));
    lift();
    expect(error).toMatchObject({ code: "deadline_exceeded" });
    expect(tookMs).toBeLessThan(SHORT_MS + SLACK_MS);
    await expectOpenThenComplete(ask, /./);
  });
});

test("a client that leaves ends the turn, which stays", async () => {
  lift = rig.model.inject({ hang: true });
  const ask = newAsk("Hello!");
  const leave = new AbortController();
  const turn = timed(converse(ask, new Deadline(20_000, { signal: leave.signal })));
  await sleep(150);
  leave.abort();
  const { error, tookMs } = await turn;
  expect(error).toMatchObject({ code: "deadline_exceeded" });
  expect(tookMs).toBeLessThan(SLACK_MS);
  lift();
  await expectOpenThenComplete(ask, /./);
});

test("without any time left nothing at all is asked", async () => {
  const { conversationId } = await converse(newAsk("Hello!"));
  const ask = newAsk("Too late");
  const { owner, message, turnId } = ask;
  for (const deadline of [new Deadline(0), new Deadline(9_000, { signal: AbortSignal.abort() })]) {
    const traffic = await trafficOf(rig, async () => {
      for (const turn of [
        () => converse(ask, deadline),
        () => worker.conversations.start({ ...ask, deadline }),
        () => worker.conversations.continue({ owner, message, turnId, conversationId, deadline }),
      ]) {
        await expect(turn()).rejects.toMatchObject({ code: "deadline_exceeded" });
      }
    });
    expect(traffic).toMatchObject({
      store: { requests: 0 },
      redis: { requests: 0 },
      model: { requests: 0 },
    });
  }
});

describe("a store that fails when the reply is there", () => {
  test.each(["error", "drop-before"] as const)(
    "%s: the turn is released, and a retry completes it",
    async (kind) => {
      const ask = newAsk("Hello!");
      // One call fails at all four attempts of the SDK; the release after it gets through.
      lift = rig.storeEngine.inject({ kind, operation: "TransactWriteItems", after: 1, times: 4 });
      await expect(converse(ask)).rejects.toMatchObject({ code: "unavailable" });
      lift();
      await expectOpenThenComplete(ask, /./);
    },
  );

  test("a reply that was stored though no answer came is the reply", async () => {
    const ask = newAsk("Hello!");
    lift = rig.storeEngine.inject({
      kind: "drop-after",
      operation: "TransactWriteItems",
      after: 1,
      times: 4,
    });
    await expect(converse(ask)).rejects.toMatchObject({ code: "unavailable" });
    lift();
    const stored = await openTurn(ask);
    const result = await converse(ask);
    expect(result).toMatchObject({ replayed: true, reply: stored?.reply });
    expect(rig.model.requests.filter(({ body }) => body.includes('"tools"'))).toHaveLength(1);
  });
});
