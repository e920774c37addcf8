import type { Drill, Fault } from "./fault.ts";
import type { Passing } from "./passing.ts";
import type { Strike } from "./wire.ts";

/** Past the lease of a turn of the API, and of one of Telegram with what hides its update. */
const LONG_PAUSE_MS = { api: 10_500, telegram: 14_000 };
/** Past the same, and past what it takes to answer in its place. */
const LATE_MS = { api: 12_500, telegram: 16_000 };
const CLOCK_EVERY_MS = 250;
const JUMPS_MS = [-120_000, -2_000, 0, 2_000, 120_000];

/** Moments at which it hurts: the turn, its reply and the outbox are written, the model and Telegram are asked. */
const isMoment = ({ engine, operation, turn }: Passing) =>
  turn !== undefined && (engine === "store" || operation === "reply" || operation === "sendMessage");

type Struck = { instance: number; turn: string };

/** Something happens to the instance that works on a turn, at drawn moments, once in a turn. */
function strikeWorkers({ stage, draw }: Drill, probability: number, strike: (struck: Struck) => Strike) {
  const struck = new Set<string>();
  return stage.wire.rule((passing) => {
    const { instance, turn = "", operation } = passing;
    if (!isMoment(passing) || struck.has(turn)) return undefined;
    if (draw(`${turn} ${operation}`) >= probability) return undefined;
    struck.add(turn);
    return strike({ instance, turn });
  });
}

/** Before a request arrives, or after it was done. */
export const killWorkers = (drill: Drill, probability: number) =>
  strikeWorkers(drill, probability, ({ instance, turn }) => {
    const act = () => {
      drill.stage.instances.kill(instance);
      return false;
    };
    return { kind: "act", when: drill.draw(`when ${turn}`) < 0.5 ? "forwarded" : "answered", act };
  });

/** A reply's writer dies, and its write arrives when somebody else has taken over and answered. */
function delayReplies({ stage, draw }: Drill, probability: number, most: number) {
  let left = most;
  return stage.wire.rule(({ engine, turn, body, instance }) => {
    if (engine !== "store" || turn === undefined || !body.includes('":reply"')) return undefined;
    if (left === 0 || draw(turn) >= probability) return undefined;
    left -= 1;
    return { kind: "late", ms: LATE_MS[groupOf(stage, instance)], act: () => stage.instances.kill(instance) };
  });
}

const groupOf = ({ apiInstances }: Drill["stage"], instance: number) =>
  instance < apiInstances ? "api" : "telegram";

/** Of the API's and of Telegram's instances one at a time, so that there is somebody to take over. */
export function pauseWorkers(drill: Drill, probability: number, longs: number) {
  const { stage, draw } = drill;
  const until = { api: 0, telegram: 0 };
  let left = longs;
  const pause = ({ instance, turn }: Struck) => {
    const group = groupOf(stage, instance);
    const now = performance.now();
    if (now < until[group]) return;
    const isLong = left > 0 && draw(`long ${turn}`) < 0.5;
    if (isLong) left -= 1;
    const ms = isLong ? LONG_PAUSE_MS[group] : 300 + 1_500 * draw(`pause ${turn}`);
    until[group] = now + ms;
    stage.instances.pause(instance, ms);
  };
  return strikeWorkers(drill, probability, (struck) => {
    const act = () => {
      pause(struck);
      // It finds the answer when it goes on.
      return true;
    };
    return { kind: "act", when: draw(`when ${struck.turn}`) < 0.5 ? "forwarded" : "answered", act };
  });
}

export function jumpClocks({ stage, draw }: Drill, jumps = JUMPS_MS) {
  const { count } = stage.instances;
  const jump = () => {
    const instance = Math.floor(draw("whose clock") * count);
    stage.instances.setClock(instance, jumps[Math.floor(draw("jump") * jumps.length)] ?? 0);
  };
  const timer = setInterval(jump, CLOCK_EVERY_MS);
  return () => {
    clearInterval(timer);
    for (let instance = 0; instance < count; instance++) stage.instances.setClock(instance, 0);
  };
}

export const processFaults: readonly Fault[] = [
  { name: "none", inject: () => () => {} },
  { name: "worker killed", inject: (drill) => killWorkers(drill, 0.06) },
  { name: "worker paused", stops: true, inject: (drill) => pauseWorkers(drill, 0.1, 3) },
  { name: "write arrives late", inject: (drill) => delayReplies(drill, 0.3, 5) },
  { name: "clock jumps", lastsMs: 5_000, messages: 6, weather: 0.5, inject: (drill) => jumpClocks(drill) },
];
