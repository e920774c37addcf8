import { all, type Drill, type Fault, share } from "./fault.ts";
import { jumpClocks, killWorkers, pauseWorkers } from "./process-faults.ts";
import { fillRedis, killRedis, pauseRedis } from "./redis-faults.ts";
import { conflict, loseStoreAnswers, throttle } from "./store-faults.ts";
import { failTelegram, modelStrikes, repeatUpdates } from "./upstream-faults.ts";
import type { Strike } from "./wire.ts";

const SECONDS_APART = [-1_500, 0, 1_500];

/** What Redis suffers meanwhile, if it is a server process of its own. */
function strikeRedis(drill: Drill) {
  if (drill.stage.backend.pid === undefined) return () => {};
  const ways = [fillRedis, killRedis, pauseRedis];
  return (ways[Math.floor(drill.draw("redis") * ways.length)] ?? fillRedis)(drill);
}

const strikes: readonly Strike[] = Object.values(modelStrikes);
const modelStrikeOf = ({ draw }: Drill, turn = "") =>
  strikes[Math.floor(draw(`which ${turn}`) * strikes.length)] ?? modelStrikes["500"];

/** A little of everything at once. */
export const randomFault: Fault = {
  name: "all at random",
  redis: true,
  messages: 6,
  weather: 0.5,
  lastsMs: 6_000,
  inject: async (drill) =>
    all(
      killWorkers(drill, 0.015),
      pauseWorkers(drill, 0.02, 1),
      jumpClocks(drill, SECONDS_APART),
      await strikeRedis(drill),
      share(drill, "redis", 0.03, { kind: "lose" }),
      throttle(drill, 0.04),
      conflict(drill, 0.04),
      loseStoreAnswers(drill, 0.04),
      share(drill, "model", 0.2, ({ turn }) => modelStrikeOf(drill, turn)),
      share(drill, "weather", 0.3, { kind: "drop" }),
      share(drill, "openMeteo", 0.2, { kind: "hang" }),
      share(drill, "queue", 0.05, { kind: "lose" }),
      await repeatUpdates(drill, 0.1),
      await failTelegram(drill, [
        { kind: "too_many_requests", probability: 0.1, retry_after: 1 },
        { kind: "answer_lost", probability: 0.1 },
      ]),
    ),
};
