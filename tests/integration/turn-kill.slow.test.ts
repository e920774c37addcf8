import { randomUUID } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { newTurnId } from "@parley/core/id";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { allTurns } from "../support/all-turns.ts";
import { MINUTE_MS } from "../support/clock.ts";
import { type Moment, startGate } from "../support/gate.ts";
import { startRig } from "../support/rig.ts";
import { startTurnProcess } from "../support/turn-process.ts";

/*
 * A process that works on a turn is killed at every request that it makes to anything: when the request has left it
 * and not arrived, and when it was done and the answer not received. Between two requests a process changes nothing
 * outside of itself, so that is every state that a crash can leave.
 */

/** Side by side, each with engines of its own. */
const LANES = 2;
const DEADLINE_MS = 20_000;
const MOMENTS: Moment["when"][] = ["before it is forwarded", "before it is answered"];

type Scenario = {
  name: string;
  /** Turns that were done before. */
  earlier: string[];
  message: string;
  expected: RegExp;
};

const scenarios: Scenario[] = [
  {
    name: "the first turn of a chat",
    earlier: [],
    message: "What's the weather in Barcelona?",
    expected: /Barcelona.*simulated/s,
  },
  {
    name: "the third turn of a chat",
    earlier: ["Hello!", "What's the weather in Lisbon?"],
    message: "And tomorrow?",
    expected: /Lisbon.*simulated/s,
  },
];

let compileCache: string;
let lanes: Lane[] = [];

beforeAll(async () => {
  compileCache = await mkdtemp(join(tmpdir(), "parley-compile-cache-"));
  lanes = await Promise.all(Array.from({ length: LANES }, startLane));
});

afterAll(async () => {
  await Promise.all(lanes.map((lane) => lane.close()));
  await rm(compileCache, { recursive: true, force: true });
});

type Lane = Awaited<ReturnType<typeof startLane>>;

async function startLane() {
  const rig = await startRig();
  const { storeEngine, upstash, model, weather } = rig;
  const gate = await startGate({
    dynamo: storeEngine.url,
    redis: upstash.url,
    model: model.url,
    weather: weather.url,
  });
  // A retry comes when the lease is over: whoever retries lives a minute later than whoever is killed.
  rig.clock.advance(MINUTE_MS);
  const { redis, conversations } = rig.worker();
  // The breaker's script goes to Redis with the first weather question, and stays there.
  const session = { platform: "telegram", userId: "user", chatId: "the first" };
  const message = "What's the weather in Paris?";
  await conversations.converse({ owner: "nobody", session, message, deadline: rig.deadline() });

  return {
    rig,
    gate,
    /** Every cache is cold. */
    forget: () => redis.flushall(),
    /** In that minute Redis has lost what it kept for less. */
    async passMinute() {
      for (const key of await redis.keys("*")) {
        const left = await redis.pttl(key);
        if (left >= 0 && left <= MINUTE_MS) await redis.del(key);
      }
    },
    async close() {
      gate.close();
      await rig.close();
    },
  };
}

/** A chat with its earlier turns, and an instance about to answer the next. */
async function prepare({ rig, gate, forget }: Lane, { earlier, message }: Scenario) {
  const starting = startTurnProcess(gate.urls, { compileCache });
  await forget();
  const owner = randomUUID();
  const session = { platform: "telegram", userId: "user", chatId: randomUUID() };
  const { conversations } = rig.worker();
  for (const said of earlier) {
    await conversations.converse({ owner, session, message: said, deadline: rig.deadline() });
  }
  return { instance: await starting, ask: { owner, session, message, turnId: newTurnId() } };
}

/** The requests of a turn that nobody kills. */
async function requestsOf(lane: Lane, scenario: Scenario): Promise<string[]> {
  const { instance, ask } = await prepare(lane, scenario);
  lane.gate.watch(undefined, () => {});
  instance.ask({ ...ask, deadlineMs: DEADLINE_MS });
  const { reply } = await instance.result();
  expect(reply.text).toMatch(scenario.expected);
  instance.kill();
  await instance.ended();
  return [...lane.gate.seen];
}

async function killAndRetry(lane: Lane, scenario: Scenario, moment: Moment): Promise<void> {
  const { rig, gate } = lane;
  const { instance, ask } = await prepare(lane, scenario);
  const { owner, session, message, turnId } = ask;
  const seq = scenario.earlier.length + 1;
  const told = `killed at ${moment.request}, ${moment.when}`;

  const struck = gate.watch(moment, instance.kill);
  instance.ask({ ...ask, deadlineMs: DEADLINE_MS });
  await struck;
  expect(await instance.ended(), told).toBe("SIGKILL");
  await gate.quiet();
  await lane.passMinute();

  const { conversations, store } = rig.worker();
  const [left] = (await store.list(owner, { size: 10 })).items;
  const open = left && (await store.turn(left.id, seq));
  const retry = () => conversations.converse({ ...ask, deadline: rig.deadline() });
  const result = await retry();
  expect(result.reply.text, told).toMatch(scenario.expected);
  expect(result.replayed, told).toBe(open?.reply !== undefined);
  if (open?.reply) expect(result.reply, told).toEqual(open.reply);

  const { items: owned } = await store.list(owner, { size: 10 });
  expect(owned, told).toMatchObject([{ id: result.conversationId, turnCount: seq }]);
  expect(owned[0]?.title, told).toBeTruthy();
  const turns = await allTurns(store, result.conversationId);
  expect(
    turns.map((turn) => [turn.seq, turn.message]),
    told,
  ).toEqual([...scenario.earlier, message].map((said, index) => [index + 1, said]));
  expect(turns.at(-1), told).toMatchObject({ turnId, reply: result.reply });
  if (open) expect(turns.at(-1)?.messageId, told).toBe(open.messageId);

  const again = await retry();
  expect(again, told).toEqual({ ...result, replayed: true });
  const next = await conversations.converse({ owner, session, message: "Thanks!", deadline: rig.deadline() });
  expect(next.conversationId, told).toBe(result.conversationId);
  expect((await store.load(result.conversationId, 1))?.turns, told).toMatchObject([{ seq: seq + 1 }]);
}

describe.each(scenarios)("$name", (scenario) => {
  test("is completed by a retry, wherever its process was killed", { timeout: 120_000 }, async () => {
    const requests = await requestsOf(lanes[0] as Lane, scenario);
    const moments = requests.flatMap((request) => MOMENTS.map((when) => ({ request, when })));
    await Promise.all(
      lanes.map(async (each) => {
        for (let next = moments.shift(); next; next = moments.shift()) {
          await killAndRetry(each, scenario, next);
        }
      }),
    );
    process.stdout.write(
      `killed before and after each of ${requests.length} requests: ${requests.join(", ")}\n`,
    );
  });
});
