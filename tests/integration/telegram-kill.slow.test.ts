import type { SqsEvent } from "@parley/local/queue/event";
import type { ScriptedResponse } from "@parley/local/simulators/model";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { type Moment, startGate } from "../support/gate.ts";
import { type Speaker, startTelegramRig, type WorkerEngines } from "../support/telegram-rig.ts";

/*
 * The worker of an update is killed at every request that it makes to anything: when the request has left it and not
 * arrived, and when it was done and the answer not received. Then the queue hands the update out again, to another one.
 */

/** Side by side, each with engines of its own. */
const LANES = 2;
const MOMENTS: Moment["when"][] = ["before it is forwarded", "before it is answered"];
/** As long as the queue hides what was received. */
const HIDDEN_MS = 150_000;

const QUESTION = "Tell me all about the weather in Barcelona.";
/** Two messages of Telegram's, called by their first words. */
const ANSWER = `First, ${"it is sunny, and it will stay so. ".repeat(100)}\n\nSecond, ${"take a hat with you. ".repeat(150)}`;
const PARTS = ["First", "Second"];
const NEXT = "Thanks!";
const WELCOME = "Welcome";

const respond: ScriptedResponse = ({ messages }) => {
  const last = messages.at(-1);
  if (last?.role === "tool") return ANSWER;
  if (last?.text !== QUESTION) return WELCOME;
  const call = { name: "get_weather", arguments: '{"location":"Barcelona","days":null}' };
  return {
    message: {
      role: "assistant",
      content: null,
      tool_calls: [{ id: "call_1", type: "function", function: call }],
    },
  };
};

let lanes: Lane[] = [];

beforeAll(async () => {
  lanes = await Promise.all(Array.from({ length: LANES }, startLane));
});
afterAll(() => Promise.all(lanes.map((lane) => lane.close())));

type Lane = Awaited<ReturnType<typeof startLane>>;

async function startLane() {
  let gate: Awaited<ReturnType<typeof startGate<WorkerEngines>>> | undefined;
  let killing = new AbortController();
  const rig = await startTelegramRig({
    maxWorkers: 1,
    async between(engines) {
      gate = await startGate(engines);
      return gate.urls;
    },
    invoke(_event: SqsEvent, call) {
      killing = new AbortController();
      return call(killing.signal);
    },
  });
  if (!gate) throw new Error("nothing stands between");
  rig.model.script([respond], { repeat: true });
  return {
    rig,
    gate,
    kill: () => killing.abort(),
    async close() {
      await rig.close();
      gate?.close();
    },
  };
}

const nameOf = ({ text = "" }: { text?: string }) => /^\w*/.exec(text)?.[0] ?? "";
const namesOf = async (speaker: Speaker) => (await speaker.heard()).map(nameOf);

/** Every cache is cold, and an instance about to get a message of a new chat. */
async function prepare({ rig }: Lane): Promise<Speaker> {
  await rig.redis.result("FLUSHALL");
  rig.worker.warm();
  return rig.person({ first_name: "Ann" });
}

/** The requests for an update whose worker nobody kills. */
async function requestsOf(lane: Lane): Promise<string[]> {
  const ann = await prepare(lane);
  void lane.gate.watch(undefined, () => {});
  await ann.say(QUESTION);
  await lane.rig.idle();
  expect(await namesOf(ann)).toEqual(PARTS);
  return [...lane.gate.seen];
}

type OutboxPart = { text: string; state: string };

/** The parts of the chat's answer as they stand in the outbox; none before they are there. */
async function outboxOf({ rig }: Lane, chat: number): Promise<OutboxPart[]> {
  const entries = (await rig.rows()).flatMap(({ entry }) => (entry ? [entry] : []));
  const own = (entries as { place: { chat: number }; parts: OutboxPart[] }[]).find(
    (entry) => entry.place.chat === chat && entry.parts.length === PARTS.length,
  );
  return own?.parts ?? [];
}

/** Missed when the worker was done before the moment came: it looks for a /stop as often as it has time to. */
type Outcome = "missed" | "certain" | "in doubt";

async function killAndReceiveAgain(lane: Lane, moment: Moment): Promise<Outcome> {
  const { rig, gate } = lane;
  const ann = await prepare(lane);
  const told = `killed at ${moment.request}, ${moment.when}`;
  const uncertain = rig.metric("TelegramUncertainSends");
  const { results } = rig.poller.stats();

  const struck = gate.watch(moment, lane.kill).then(() => true);
  await ann.say(QUESTION);
  const came = await Promise.race([struck, rig.idle().then(() => false)]);
  if (!came) return "missed";
  await ann.say(NEXT);
  await gate.quiet();
  await vi.waitFor(() => expect(rig.poller.stats().results.error, told).toBe(results.error + 1));
  const shown = await namesOf(ann);
  const inDoubt = (await outboxOf(lane, ann.chat)).filter(({ state }) => state === "sending");

  await rig.passTime(HIDDEN_MS);
  await rig.idle();
  const lost = inDoubt.map(nameOf).filter((name) => !shown.includes(name));
  expect(await namesOf(ann), told).toEqual([...PARTS.filter((name) => !lost.includes(name)), WELCOME]);
  expect(await rig.turns(ann.chat), told).toMatchObject([
    { seq: 1, message: QUESTION, reply: { text: ANSWER } },
    { seq: 2, message: NEXT, reply: { text: WELCOME } },
  ]);
  const states = (await outboxOf(lane, ann.chat)).map(({ state }) => state);
  expect(
    states.filter((state) => state === "uncertain"),
    told,
  ).toHaveLength(inDoubt.length);
  expect(
    states.filter((state) => state === "sent"),
    told,
  ).toHaveLength(PARTS.length - inDoubt.length);
  const counted = () => rig.metric("TelegramUncertainSends") - uncertain;
  await vi.waitFor(() => expect(counted(), told).toBe(inDoubt.length));
  expect(rig.deadLetters(), told).toEqual([]);
  return inDoubt.length > 0 ? "in doubt" : "certain";
}

/** From "sending" in the outbox to what became of it, part by part. */
const WHILE_SENDING = [
  "dynamo PutItem, before it is answered",
  "dynamo UpdateItem #2, before it is forwarded",
  "dynamo UpdateItem, before it is answered",
  "dynamo UpdateItem, before it is forwarded",
  "telegram sendMessage #2, before it is answered",
  "telegram sendMessage #2, before it is forwarded",
  "telegram sendMessage, before it is answered",
  "telegram sendMessage, before it is forwarded",
];
/** As often as the worker has time for, or until Redis knows the script. */
const NOW_AND_THEN = /^(redis GET|telegram sendChatAction|redis EVAL breaker)/;

test("an update is answered once, wherever its worker was killed", { timeout: 300_000 }, async () => {
  // Once for all that is loaded, or made, at the very first time.
  await Promise.all(lanes.map(requestsOf));
  const requests = await requestsOf(lanes[0] as Lane);
  const moments = requests.flatMap((request) => MOMENTS.map((when) => ({ request, when })));
  const outcomes: Record<Outcome, string[]> = { missed: [], certain: [], "in doubt": [] };
  await Promise.all(
    lanes.map(async (lane) => {
      for (let next = moments.shift(); next; next = moments.shift()) {
        outcomes[await killAndReceiveAgain(lane, next)].push(`${next.request}, ${next.when}`);
      }
    }),
  );
  expect(outcomes.missed.filter((moment) => !NOW_AND_THEN.test(moment))).toEqual([]);
  expect(outcomes["in doubt"].sort()).toEqual(WHILE_SENDING);
  process.stdout.write(
    `killed before and after each of ${requests.length} requests (${outcomes.missed.length} moments did not come): ${requests.join(", ")}\n`,
  );
});
