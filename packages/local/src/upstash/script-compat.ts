import { createHash } from "node:crypto";
import type { Command } from "./command.ts";
import type { Reply } from "./reply.ts";

/**
 * Lets scripts written for Upstash run on Redis. `#!lua flags=allow-key-locking` is Upstash's own flag, which
 * Redis rejects; without it the script's SHA differs from the one that the client computed, so both ways
 * need translating.
 */
export interface ScriptCompat {
  /** The command to send to Redis in place of `command`. */
  toRedis(command: Command): Command;
  /** The reply that the client expects to `command` in place of Redis's. */
  fromRedis(command: Command, reply: Reply): Reply;
}

const UPSTASH_FLAG = "allow-key-locking";

export function createScriptCompat(): ScriptCompat {
  const redisShaOf = new Map<string, string>();

  function adapt(script: string): string {
    const adapted = withoutUpstashFlag(script);
    if (adapted !== script) redisShaOf.set(sha1(script), sha1(adapted));
    return adapted;
  }

  function adaptSha(sha: string): string {
    return redisShaOf.get(sha.toLowerCase()) ?? sha;
  }

  return {
    toRedis(command) {
      const [name, first, ...rest] = command;
      if (first === undefined) return command;
      if (name === "EVAL" || name === "EVAL_RO") return [name, adapt(first), ...rest];
      if (name === "EVALSHA" || name === "EVALSHA_RO") return [name, adaptSha(first), ...rest];
      if (name !== "SCRIPT") return command;
      if (first.toUpperCase() === "LOAD") return [name, first, ...rest.map(adapt)];
      if (first.toUpperCase() === "EXISTS") return [name, first, ...rest.map(adaptSha)];
      return command;
    },
    fromRedis([name, subcommand, script], reply) {
      const isLoad = name === "SCRIPT" && subcommand?.toUpperCase() === "LOAD" && script !== undefined;
      return isLoad && Buffer.isBuffer(reply) ? Buffer.from(sha1(script)) : reply;
    },
  };
}

// A shebang left without flags goes too, for the sake of Redis 6, which knows none; its line stays, so that the
// line numbers in errors still hold.
function withoutUpstashFlag(script: string): string {
  const [, flags] = /^#!lua[ \t]+flags=([^\s]*)[ \t]*(?=\r?\n|$)/.exec(script) ?? [];
  if (flags === undefined) return script;
  const names = flags.split(",");
  if (!names.includes(UPSTASH_FLAG)) return script;
  const kept = names.filter((name) => name !== UPSTASH_FLAG);
  const endOfLine = script.indexOf("\n");
  const rest = endOfLine === -1 ? "" : script.slice(endOfLine);
  return kept.length === 0 ? rest : `#!lua flags=${kept.join(",")}${rest}`;
}

function sha1(text: string): string {
  return createHash("sha1").update(text).digest("hex");
}
