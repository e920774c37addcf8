import { Redis } from "ioredis";

const TIMEOUT_MS = 3_000;

/** What an answering server says of itself. */
export interface ServerInfo {
  /** Such as `7.0.15`. */
  version: string;
  pid: number;
}

/** Asks a Redis about itself; rejects when it does not answer well within three seconds. */
export async function askServer(redisUrl: string): Promise<ServerInfo> {
  const redis = new Redis(redisUrl, {
    lazyConnect: true,
    enableReadyCheck: false,
    disableClientInfo: true,
    connectTimeout: TIMEOUT_MS,
    commandTimeout: TIMEOUT_MS,
    retryStrategy: null,
  });
  // connect() itself rejects with "Connection is closed." and keeps the cause for this event.
  let cause: Error | undefined;
  redis.on("error", (error: Error) => {
    cause ??= error;
  });
  try {
    await redis.connect();
    const info = await redis.info("server");
    if (cause !== undefined) throw cause; // such as a database number that the server does not have
    const field = (name: string) => new RegExp(`^${name}:(.*)$`, "m").exec(info)?.[1]?.trim();
    return {
      version: field("valkey_version") ?? field("redis_version") ?? "?",
      pid: Number(field("process_id")),
    };
  } catch (error) {
    throw cause ?? error;
  } finally {
    redis.disconnect();
  }
}

/** Why the server at `redisUrl` cannot be used, in a few words, or undefined when it can. */
export async function connectionError(redisUrl: string): Promise<string | undefined> {
  try {
    await askServer(redisUrl);
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message || (error as NodeJS.ErrnoException).code : String(error);
  }
}

export function withoutPassword(redisUrl: string): string {
  const { protocol, host, pathname } = new URL(redisUrl);
  return `${protocol}//${host}${pathname === "/" ? "" : pathname}`;
}
