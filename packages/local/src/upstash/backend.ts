import { connectionError, withoutPassword } from "./probe.ts";
import { findRedisServer, startRedisServer } from "./redis-server.ts";

export interface RedisBackendOptions {
  /** An existing server, `redis://` or `rediss://`; it wins over any engine. */
  redisUrl?: string | undefined;
  /** `auto`: `redis-server` or `valkey-server` when it is on PATH and starts, else the embedded engine. */
  engine?: "auto" | "redis-server" | "embedded";
}

/** A Redis to talk to. `close` ends what was started here and leaves an external server alone. */
export interface RedisBackend {
  readonly kind: "external" | "redis-server" | "embedded";
  /** One line for people: what runs, and why that. */
  readonly description: string;
  readonly redisUrl: string;
  /** The server process, if there is one of ours. */
  readonly pid?: number | undefined;
  /** Loses all data and every connection, and serves on at the same address. Not for external servers. */
  restart?(): Promise<void>;
  close(): Promise<void>;
}

/** Rejects with one line naming REDIS_URL when that server does not answer within a few seconds. */
export async function startRedisBackend(options: RedisBackendOptions = {}): Promise<RedisBackend> {
  const { redisUrl, engine = "auto" } = options;
  if (redisUrl !== undefined && redisUrl !== "") return external(redisUrl);
  if (engine === "embedded") return embedded("");
  const binary = await findRedisServer();
  if (binary === undefined) {
    if (engine === "redis-server") throw new Error("no redis-server or valkey-server on PATH");
    return embedded("no redis-server or valkey-server on PATH");
  }
  try {
    return await startRedisServer(binary);
  } catch (error) {
    if (engine === "redis-server") throw error;
    return embedded(error instanceof Error ? error.message : String(error));
  }
}

async function external(redisUrl: string): Promise<RedisBackend> {
  if (!/^rediss?:\/\//.test(redisUrl) || !URL.canParse(redisUrl)) {
    throw new Error("REDIS_URL is not an address like redis://127.0.0.1:6379");
  }
  const address = withoutPassword(redisUrl);
  const problem = await connectionError(redisUrl);
  if (problem !== undefined) throw new Error(`REDIS_URL ${address} cannot be used: ${problem}`);
  return { kind: "external", description: `REDIS_URL ${address}`, redisUrl, close: async () => {} };
}

// Loaded on demand: nobody who has a real Redis should wait for a Lua interpreter in WebAssembly.
async function embedded(reason: string): Promise<RedisBackend> {
  const { startEmbedded } = await import("./embedded.ts");
  return startEmbedded(reason);
}
