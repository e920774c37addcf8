import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import type { Fault } from "@parley/local/upstash/server";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { allTurns } from "../support/all-turns.ts";
import { OWNER, type Rig, startRig } from "../support/rig.ts";

/** Redis is a fast path: whatever becomes of it, every turn is answered, from the store. */

const REDIS_TIMEOUT_MS = 400;
/** As long as a client leaves Redis alone after it failed. */
const PAUSE_MS = 1_000;
/** A turn without Redis waits for it once, not at each of five commands and more. */
const SOON_MS = 4.5 * REDIS_TIMEOUT_MS;

type Worker = ReturnType<Rig["worker"]>;

let rig: Rig;
let workers: Worker[];

beforeAll(async () => {
  rig = await startRig();
});
afterAll(() => rig?.close());
beforeEach(async () => {
  workers = Array.from({ length: 4 }, () => rig.worker({ redisTimeoutMs: REDIS_TIMEOUT_MS }));
  rig.model.reset();
  await rig.worker().redis.flushall();
});

const workerAt = (index: number) => workers[index % workers.length] as Worker;
const newSession = () => ({ platform: "telegram", userId: "user", chatId: randomUUID() });

async function say(session: ReturnType<typeof newSession>, message: string, worker = workerAt(0)) {
  const startedAt = performance.now();
  const result = await worker.conversations.converse({
    owner: OWNER,
    session,
    message,
    deadline: rig.deadline(),
  });
  return { ...result, text: result.reply.text, tookMs: performance.now() - startedAt };
}

const messagesOf = async (id: string) =>
  (await allTurns(workerAt(0).store, id)).map(({ message }) => message);

type Outage = { name: string; begin(): Promise<void> | void; end(): Promise<void> | void };

const outages: Outage[] = [
  { name: "stopped", begin: () => rig.upstash.stop(), end: () => rig.upstash.start() },
  ...(["hang", "cut"] as const).map((fault) => ({
    name: `at fault (${fault})`,
    begin: () => setFault(fault),
    end: () => setFault(undefined),
  })),
];

function setFault(fault: Fault | undefined) {
  rig.upstash.fault = fault;
}

describe.each(outages)("Redis is $name", ({ begin, end }) => {
  test("between turns: the chat goes on, then with Redis again", async () => {
    const session = newSession();
    const first = await say(session, "What's the weather in Barcelona?");
    await begin();
    const second = await say(session, "And in Lisbon?");
    const third = await say(session, "And in Porto tomorrow?", workerAt(1));
    const elsewhere = await say(newSession(), "What's the weather in Paris?", workerAt(2));
    await end();

    expect(second.text).toMatch(/Lisbon.*simulated/s);
    expect(third.text).toMatch(/Porto.*simulated/s);
    expect(elsewhere.text).toMatch(/Paris.*simulated/s);
    expect(elsewhere.title).toBe("Weather in Paris");
    expect(new Set([first, second, third].map((turn) => turn.conversationId)).size).toBe(1);
    for (const { tookMs } of [second, third, elsewhere]) expect(tookMs).toBeLessThan(SOON_MS);
    expect(workerAt(0).telemetry.total("RedisUnavailable")).toBeGreaterThan(0);
    expect(workerAt(0).telemetry.warnings.length).toBeGreaterThan(0);

    rig.clock.advance(PAUSE_MS);
    const before = rig.upstash.requests().count;
    const back = await say(session, "And in Madrid?");
    expect(back.text).toMatch(/Madrid.*simulated/s);
    expect(back.conversationId).toBe(first.conversationId);
    expect(rig.upstash.requests().count - before).toBeGreaterThanOrEqual(4);
    const keys = await workerAt(3).redis.keys(`session:*${session.chatId}`);
    expect(keys).toHaveLength(1);
    expect(await messagesOf(first.conversationId)).toEqual([
      "What's the weather in Barcelona?",
      "And in Lisbon?",
      "And in Porto tomorrow?",
      "And in Madrid?",
    ]);
  });

  test("in the middle of turns: each is answered", async () => {
    rig.model.inject({ delayMs: 150 });
    const sessions = Array.from({ length: 6 }, newSession);
    const places = ["Oslo", "Rome", "Vienna", "Berlin", "Tokyo", "London"];
    const turns = sessions.map(async (session, index) => {
      // So that Redis goes at another moment of each.
      await sleep(60 * index);
      return say(session, `What's the weather in ${places[index]}?`, workerAt(index));
    });
    await sleep(300);
    await begin();
    const results = await Promise.all(turns);
    await end();
    for (const [index, { text, conversationId }] of results.entries()) {
      expect(text).toMatch(new RegExp(`${places[index]}.*simulated`, "s"));
      expect(await messagesOf(conversationId)).toHaveLength(1);
    }
  });

  test("two first messages at once make one conversation all the same", async () => {
    await begin();
    for (let trial = 0; trial < 5; trial++) {
      const session = newSession();
      const [one, other] = await Promise.all([
        say(session, "one", workerAt(0)),
        say(session, "other", workerAt(1)),
      ]);
      expect(other?.conversationId).toBe(one?.conversationId);
      expect((await messagesOf(one?.conversationId ?? "")).toSorted()).toEqual(["one", "other"]);
    }
    await end();
  });

  test("a repeated turn is still one turn", async () => {
    await begin();
    const ask = { owner: OWNER, session: newSession(), message: "Hello!", turnId: randomUUID() };
    const first = await workerAt(0).conversations.converse({ ...ask, deadline: rig.deadline() });
    const again = await workerAt(1).conversations.converse({ ...ask, deadline: rig.deadline() });
    await end();
    expect(again).toEqual({ ...first, replayed: true });
    expect(await messagesOf(first.conversationId)).toEqual(["Hello!"]);
  });
});

test("a slow Redis is used", async () => {
  const session = newSession();
  const { conversationId } = await say(session, "Hello!");
  setFault("slow:60");
  const before = rig.upstash.requests().count;
  const turn = await say(session, "What's the weather in Athens?");
  setFault(undefined);
  expect(turn.text).toMatch(/Athens.*simulated/s);
  expect(turn.conversationId).toBe(conversationId);
  expect(rig.upstash.requests().count - before).toBeGreaterThanOrEqual(4);
  expect(workerAt(0).telemetry.total("RedisUnavailable")).toBe(0);
});
