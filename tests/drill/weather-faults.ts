import { setTimeout as sleep } from "node:timers/promises";
import { connectResp } from "@parley/local/upstash/resp";
import { hasOpened, isOverdue, recoversLate } from "./breaker.ts";
import { all, type Drill, type Fault, share } from "./fault.ts";
import type { Strike } from "./wire.ts";

const DOWN: Strike = {
  kind: "answer",
  status: 500,
  body: '{"error":{"code":9999,"message":"Told to fail."}}',
};
const ASK_EVERY_MS = 300;
const EMPTY_EVERY_MS = 100;
/** Longer than any of these faults lasts. */
const OPENED_WITHIN_MS = 15_000;

/** Nothing is answered from the cache, so that the providers are asked. */
function withoutCache({ stage }: Drill) {
  const redis = connectResp(stage.backend.redisUrl);
  let isOver = false;
  const emptied = empty();
  async function empty() {
    while (!isOver) {
      const [keys] = await redis.run([["KEYS", "weather:*"]]);
      if (Array.isArray(keys) && keys.length > 0) await redis.run([["DEL", ...keys.map(String)]]);
      await sleep(EMPTY_EVERY_MS);
    }
  }
  return async () => {
    isOver = true;
    await emptied;
    redis.close();
  };
}

/** From now on somebody asks for weather all the time, until there is a verdict: what does not hold. */
async function recovery(
  drill: Drill,
  fault: string,
  verdictAt: (since: number) => string[] | undefined = (since) =>
    recoversLate(drill.stage.recorder.transitions, since),
): Promise<string[]> {
  const since = performance.now();
  if (!hasOpened(drill.stage.recorder.transitions, since - OPENED_WITHIN_MS)) {
    return [`the drill itself: the circuit did not open under ${JSON.stringify(fault)}`];
  }
  const stop = withoutCache(drill);
  const asked: Promise<void>[] = [];
  let verdict = verdictAt(since);
  while (verdict === undefined) {
    asked.push(drill.traffic.stranger(fault));
    await sleep(ASK_EVERY_MS);
    verdict = verdictAt(since);
  }
  await Promise.all(asked);
  await stop();
  return verdict;
}

/** The provider fails, and whoever is the first to try it again dies of it: the next may, when the lease is over. */
function killProber(drill: Drill): { lift: () => void; killed: Promise<void> } {
  const { stage } = drill;
  const killed = Promise.withResolvers<void>();
  let isDown = true;
  const lift = stage.wire.rule(({ engine, instance }) => {
    if (engine !== "weather" || !isDown) return undefined;
    const last = stage.recorder.transitions.findLast(
      (each) => each.provider === "weatherapi" && each.op === "acquire" && each.reply[0] !== "refused",
    );
    if (last?.reply[0] !== "half_open" || last.instance !== instance) return DOWN;
    isDown = false;
    const act = () => {
      stage.instances.kill(instance);
      killed.resolve();
      return false;
    };
    return { kind: "act", when: "forwarded", act };
  });
  return { lift, killed: killed.promise };
}

const PROBE_WAIT_MS = 15_000;

function proberKilled(): Fault {
  const name = "prober killed";
  let isKilled: Promise<boolean> = Promise.resolve(false);
  return {
    name,
    weather: 0.8,
    messages: 5,
    lastsMs: 0,
    inject(drill) {
      const { lift, killed } = killProber(drill);
      isKilled = Promise.race([killed.then(() => true), sleep(PROBE_WAIT_MS, false)]);
      const end = all(withoutCache(drill), lift);
      return async () => {
        await isKilled;
        await end();
      };
    },
    after: async (drill) =>
      (await isKilled)
        ? recovery(drill, name)
        : ["the drill itself: nobody probed the provider that was down"],
  };
}

/** Longer than anything that an instance remembers by the clock may last. */
const AHEAD_MS = 120_000;
const REFUSED_MS = 600;

/**
 * Clocks that are ahead are set right while the circuit is open and Redis is out of reach: what an instance keeps away from
 * for a second, it must not keep away from until its clock is there again.
 */
const clockStepsBack: Fault = {
  name: "clock steps back",
  redis: true,
  weather: 0.8,
  async inject(drill) {
    const { instances, wire } = drill.stage;
    const setClocks = (aheadMs: number) => {
      for (let instance = 0; instance < instances.count; instance++) instances.setClock(instance, aheadMs);
    };
    setClocks(AHEAD_MS);
    const end = all(withoutCache(drill), share(drill, "weather", 1, DOWN));
    return async () => {
      const open = await wire.refuse("redis");
      await sleep(REFUSED_MS);
      await open();
      await end();
      setClocks(0);
    };
  },
  after(drill) {
    const { transitions } = drill.stage.recorder;
    const everybody = Array.from({ length: drill.stage.apiInstances }, (_, instance) => instance);
    return recovery(drill, "clock steps back", (since) => {
      const late = recoversLate(transitions, since);
      const asked = new Set(
        transitions.flatMap(({ askedAt, instance }) => (askedAt > since ? [instance] : [])),
      );
      const deaf = everybody.filter((instance) => !asked.has(instance));
      if (!late || (deaf.length > 0 && !isOverdue(since))) return undefined;
      return [
        ...late,
        ...deaf.map((n) => `breaker recovers: instance ${n} does not ask for its state any more`),
      ];
    });
  },
};

export const weatherFaults: readonly Fault[] = [
  {
    name: "weather down",
    weather: 0.8,
    inject: (drill) =>
      all(withoutCache(drill), share(drill, "weather", 1, DOWN), share(drill, "openMeteo", 1, DOWN)),
    after: (drill) => recovery(drill, "weather down"),
  },
  {
    name: "weather hangs",
    weather: 0.8,
    lastsMs: 4_000,
    // A call's own time is over before the turn's share of time for its provider is: only then it is a failure.
    limitMs: 12_000,
    inject: (drill) => all(withoutCache(drill), share(drill, "weather", 1, { kind: "hang" })),
    after: (drill) => recovery(drill, "weather hangs"),
  },
  proberKilled(),
  clockStepsBack,
];
