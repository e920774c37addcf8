import { setTimeout as sleep } from "node:timers/promises";
import { createChance } from "@parley/local/telegram/chance";
import { DEAD } from "../support/queue.ts";
import { budgetNearlySpent } from "./budget-fault.ts";
import { watchExactness } from "./exactness.ts";
import type { Drill, Fault } from "./fault.ts";
import { type Evidence, invariants } from "./invariants.ts";
import { nameIn } from "./passing.ts";
import { processFaults } from "./process-faults.ts";
import { randomFault } from "./random-fault.ts";
import { redisFaults } from "./redis-faults.ts";
import { heading, rowOf } from "./report.ts";
import { type Stage, startStage } from "./stage.ts";
import { storeFaults } from "./store-faults.ts";
import { startTraffic, type Traffic } from "./traffic.ts";
import { upstreamFaults } from "./upstream-faults.ts";
import { weatherFaults } from "./weather-faults.ts";

export const faults: readonly Fault[] = [
  ...processFaults,
  ...redisFaults,
  ...storeFaults,
  ...upstreamFaults,
  ...weatherFaults,
  budgetNearlySpent,
  randomFault,
];

const MESSAGES = 3;
const LASTS_MS = 2_500;

/** Prints a line a fault; resolves with all that does not hold. */
export async function runDrill(options: {
  seed: number;
  faults: readonly Fault[];
  /** file: URL of the product's root. */
  product: string;
  logFolder: string;
}): Promise<string[]> {
  const { seed } = options;
  const startedAt = performance.now();
  const stage = await startStage(options);
  const say = (line: string) => process.stdout.write(`${line}\n`);
  const broken: string[] = [];
  try {
    const traffic = await startTraffic(stage, seed);
    say(`seed ${seed}, ${stage.backend.description}\n`);
    say(heading());
    for (const fault of options.faults) {
      const draw = createChance(seed);
      const drill: Drill = { stage, traffic, seed, draw: (subject) => draw(`${fault.name} ${subject}`) };
      const missing = fault.missing?.(drill);
      if (missing !== undefined) {
        say(`${fault.name}: skipped, ${missing}`);
        continue;
      }
      const { found, struck } = await strike(drill, fault);
      const fresh = found.filter((each) => !broken.includes(each));
      broken.push(...fresh);
      say(rowOf({ fault: fault.name, struck, turns: traffic.turns(), holds: fresh.length === 0 }));
    }
    const turns = traffic.turns().length;
    const seconds = Math.round((performance.now() - startedAt) / 1_000);
    say(`\n${turns} turns, ${stage.instances.started()} processes, ${seconds} s`);
    return broken;
  } finally {
    await stage.close();
  }
}

/** One fault from its beginning until everything is answered; what does not hold then. */
async function strike(drill: Drill, fault: Fault): Promise<{ found: string[]; struck: number | undefined }> {
  const { stage, traffic } = drill;
  const judgeExactness = await watchExactness(stage);
  const before = await strikesOf(stage);
  const lift = await fault.inject(drill);
  const { count } = await strikesOf(stage);
  const talking = traffic.wave({ messages: MESSAGES, ...fault, fault: fault.name });
  await sleep(fault.lastsMs ?? LASTS_MS);
  if (count > 0) await lastEnough(drill, fault, before.struck, talking);
  await lift();
  const [after = []] = await Promise.all([fault.after?.(drill), talking]);
  await stage.wire.quiet();
  const exactness = await judgeExactness(fault);
  const evidence = await collect(stage, traffic);
  const found = await Promise.all(invariants.map((invariant) => invariant(evidence)));
  // What is not done by rules strikes whoever comes.
  const struck = count > 0 ? (await strikesOf(stage)).struck - before.struck : undefined;
  const idle = struck === 0 ? [`the drill itself: ${fault.name} struck nobody`] : [];
  return { found: [...idle, ...after, ...exactness, ...found.flat()], struck };
}

/** What strikes by chance goes on until it has met most of the turns, however slow the machine is, and has struck some. */
async function lastEnough(
  { stage, traffic }: Drill,
  { name, messages = MESSAGES, strikes = 0 }: Fault,
  struckBefore: number,
  talking: Promise<void>,
): Promise<void> {
  const most = (2 / 3) * messages * traffic.talkers;
  let isOver = false;
  const over = talking.finally(() => {
    isOver = true;
  });
  const isEnough = async () =>
    traffic.turns().filter(({ fault }) => fault === name).length >= most &&
    (await strikesOf(stage)).struck >= struckBefore + strikes;
  while (!isOver && !(await isEnough())) await Promise.race([over, sleep(100)]);
}

async function strikesOf({ wire, botApi: { control } }: Stage) {
  const [rules, faults, counters] = [wire.rules(), await control.faults(), await control.counters()];
  const sent = Object.values(counters.faults).reduce((sum: number, each) => sum + (each ?? 0), 0);
  return { count: rules.count + faults.length, struck: rules.struck + sent };
}

async function collect(stage: Stage, traffic: Traffic): Promise<Evidence> {
  const conversations = traffic.all();
  const chats = new Map<number, string[]>();
  for (const { number, speaker } of conversations) {
    if (speaker)
      chats.set(
        number,
        (await speaker.heard()).map(({ text = "" }) => text),
      );
  }
  return {
    ...{ conversations, chats, rows: await stage.store.rows(), invocations: stage.invocations },
    askedTooSoon: stage.recorder.askedTooSoon,
    deadLetters: stage.queue.peek(DEAD).map(({ body }) => nameIn(body) ?? body),
  };
}
