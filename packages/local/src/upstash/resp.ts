import { Redis, ReplyError } from "ioredis";
import type { Command } from "./command.ts";
import type { Reply } from "./reply.ts";

/** Redis could not be asked, or went away before it answered. */
export class RedisUnavailable extends Error {
  override name = "RedisUnavailable";
}

/** The transaction was discarded whole; nothing of it ran. */
export class TransactionAborted extends Error {
  override name = "TransactionAborted";
  /** The command that Redis would not queue. */
  readonly command: Command;

  constructor(message: string, command: Command) {
    super(message);
    this.command = command;
  }
}

export interface RespConnection {
  /** Runs commands in order; an error is that command's reply. Throws RedisUnavailable. */
  run(commands: readonly Command[]): Promise<Reply[]>;
  /** Runs commands as one MULTI/EXEC. Throws RedisUnavailable, TransactionAborted. */
  transaction(commands: readonly Command[]): Promise<Reply[]>;
  close(): void;
}

/** One socket to Redis that reconnects by itself. */
export function connectResp(redisUrl: string): RespConnection {
  const redis = new Redis(redisUrl, {
    stringNumbers: true,
    enableReadyCheck: false,
    disableClientInfo: true,
    // A command cut off by a lost connection is reported, not repeated: it may have run.
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
    // Commands wait for one attempt to reconnect, then fail.
    retryStrategy: () => 50,
    connectTimeout: 2_000,
  });
  redis.on("error", () => {}); // each command reports its own failure

  // One synchronous loop: nothing of another request can come between the commands on the socket. In the
  // "connect" state ioredis would send some commands at once (MULTI, EXEC) and queue others, so that waits.
  async function send(commands: readonly Command[]): Promise<Reply[]> {
    if (redis.status === "connect") {
      await new Promise((settle) => redis.once("ready", settle).once("close", settle));
    }
    const settled = await Promise.allSettled(commands.map(([name, ...args]) => redis.callBuffer(name, args)));
    return settled.map((result) =>
      result.status === "fulfilled" ? (result.value as Reply) : toReply(result.reason),
    );
  }

  return {
    run: send,
    async transaction(commands) {
      const [, ...replies] = await send([["MULTI"], ...commands, ["EXEC"]]);
      const results = replies.pop();
      if (Array.isArray(results)) return results;
      const culprit = replies.findIndex((reply) => reply instanceof Error);
      const cause = replies[culprit] ?? results;
      const message = cause instanceof Error ? cause.message : "EXECABORT Transaction discarded";
      throw new TransactionAborted(message, commands[culprit] ?? ["EXEC"]);
    },
    close: () => redis.disconnect(),
  };
}

function toReply(reason: unknown): Error {
  if (reason instanceof ReplyError) return reason as Error;
  throw new RedisUnavailable("ERR the Redis server behind this gateway is unreachable", { cause: reason });
}
