import { connectResp } from "@parley/local/upstash/resp";
import { type Drill, type Fault, share } from "./fault.ts";

/** Longer than an instance waits for Redis. */
const SLOW_MS = { least: 100, most: 1_500 };

const noServer = ({ stage }: Drill) =>
  stage.backend.pid === undefined ? "no redis-server or valkey-server on PATH" : undefined;

function signal({ stage }: Drill, name: NodeJS.Signals) {
  process.kill(stage.backend.pid as number, name);
}

export async function killRedis(drill: Drill) {
  signal(drill, "SIGKILL");
  return async () => void (await drill.stage.backend.restart?.());
}

export function pauseRedis(drill: Drill) {
  signal(drill, "SIGSTOP");
  return () => signal(drill, "SIGCONT");
}

/** Reads are answered, writes refused. */
export async function fillRedis({ stage }: Drill) {
  const redis = connectResp(stage.backend.redisUrl);
  await redis.run([["CONFIG", "SET", "maxmemory", "1"]]);
  return async () => {
    await redis.run([["CONFIG", "SET", "maxmemory", "0"]]);
    redis.close();
  };
}

export const redisFaults: readonly Fault[] = [
  { name: "redis killed", redis: true, missing: noServer, inject: killRedis },
  { name: "redis paused", redis: true, missing: noServer, inject: pauseRedis },
  { name: "redis full", redis: true, missing: noServer, inject: fillRedis },
  {
    name: "redis slow",
    redis: true,
    inject: (drill) =>
      share(drill, "redis", 1, () => ({
        kind: "slow",
        ms: SLOW_MS.least + (SLOW_MS.most - SLOW_MS.least) * drill.draw("slow"),
      })),
  },
  {
    name: "redis answers lost",
    redis: true,
    inject: (drill) => share(drill, "redis", 0.3, { kind: "lose" }),
  },
  { name: "redis unreachable", redis: true, inject: ({ stage }) => stage.wire.refuse("redis") },
];
