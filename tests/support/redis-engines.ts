import { findRedisServer } from "../../packages/local/src/upstash/redis-server.ts";

export type RedisEngine = "embedded" | "redis-server";

/** The engines to run `suite` on: the embedded one, and the one on PATH; without that, a line says so. */
export async function enginesFor(suite: string): Promise<RedisEngine[]> {
  if ((await findRedisServer()) !== undefined) return ["embedded", "redis-server"];
  process.stdout.write(`skipped: ${suite} on a real Redis (no redis-server or valkey-server on PATH)\n`);
  return ["embedded"];
}
