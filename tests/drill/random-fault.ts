import { all, type Drill, type Fault, share } from "./fault.ts";
import { jumpClocks, killWorkers, pauseWorkers } from "./process-faults.ts";
import { fillRedis, killRedis, pauseRedis } from "./redis-faults.ts";
import { conflict, loseStoreAnswers, throttle } from "./store-faults.ts";
import { failTelegram, modelStrikes } from "./upstream-faults.ts";

const SECONDS_APART = [-1_500, 0, 1_500];

/** What Redis suffers meanwhile; without a server process of its own it can only be full. */
function redisOf(drill: Drill) {
  const able = drill.stage.backend.pid === undefined ? [fillRedis] : [fillRedis, killRedis, pauseRedis];
  return able[Math.floor(drill.draw("redis") * able.length)] ?? fillRedis;
}

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
      await redisOf(drill)(drill),
      share(drill, "redis", 0.03, { kind: "lose" }),
      throttle(drill, 0.04),
      conflict(drill, 0.04),
      loseStoreAnswers(drill, 0.04),
      ...Object.values(modelStrikes).map((strike) => share(drill, "model", 0.05, strike)),
      share(drill, "weather", 0.3, { kind: "drop" }),
      share(drill, "openMeteo", 0.2, { kind: "hang" }),
      share(drill, "queue", 0.05, { kind: "lose" }),
      await failTelegram(drill, [
        { kind: "too_many_requests", probability: 0.1, retry_after: 1 },
        { kind: "answer_lost", probability: 0.1 },
      ]),
    ),
};
