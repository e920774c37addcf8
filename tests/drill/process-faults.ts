import type { Drill, Fault } from "./fault.ts";
import type { Passing } from "./passing.ts";

/** Past the lease of a turn of the API, and of one of Telegram with what hides its update. */
const LONG_PAUSE_MS = { api: 10_500, telegram: 14_000 };
const CLOCK_EVERY_MS = 250;
const JUMPS_MS = [-120_000, -2_000, 0, 2_000, 120_000];

/** Moments at which it hurts: the turn, its reply and the outbox are written, the model and Telegram are asked. */
const isMoment = ({ engine, operation, turn }: Passing) =>
  turn !== undefined && (engine === "store" || operation === "reply" || operation === "sendMessage");

/** Something happens to the instance that works on a turn, at drawn moments, once in a turn. */
function strikeWorkers(drill: Drill, probability: number, act: (instance: number, turn: string) => boolean) {
  const struck = new Set<string>();
  const { stage, draw } = drill;
  return stage.wire.rule((passing) => {
    const { instance, turn = "", operation } = passing;
    if (!isMoment(passing) || struck.has(turn)) return undefined;
    if (draw(`${turn} ${operation}`) >= probability) return undefined;
    struck.add(turn);
    const when = draw(`when ${turn}`) < 0.5 ? "forwarded" : "answered";
    return { kind: "act", when, act: () => act(instance, turn) };
  });
}

export const killWorkers = (drill: Drill, probability: number) =>
  strikeWorkers(drill, probability, (instance) => {
    drill.stage.instances.kill(instance);
    return false;
  });

/** Of the API's and of Telegram's instances one at a time, so that there is somebody to take over. */
export function pauseWorkers(drill: Drill, probability: number, longs: number) {
  const { stage, draw } = drill;
  const until = { api: 0, telegram: 0 };
  let left = longs;
  return strikeWorkers(drill, probability, (instance, turn) => {
    const group = instance < stage.apiInstances ? "api" : "telegram";
    const now = performance.now();
    if (now < until[group]) return true;
    const isLong = left > 0 && draw(`long ${turn}`) < 0.5;
    if (isLong) left -= 1;
    const ms = isLong ? LONG_PAUSE_MS[group] : 300 + 1_500 * draw(`pause ${turn}`);
    until[group] = now + ms;
    stage.instances.pause(instance, ms);
    // It finds the answer when it goes on.
    return true;
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
  { name: "worker paused", inject: (drill) => pauseWorkers(drill, 0.1, 3) },
  { name: "clock jumps", lastsMs: 5_000, messages: 6, weather: 0.5, inject: (drill) => jumpClocks(drill) },
];
