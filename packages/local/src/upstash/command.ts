/** A Redis command: upper-case name, then its arguments as text. */
export type Command = readonly [name: string, ...args: string[]];

/** A request that Upstash answers with status 400 and this message, having run nothing. */
export class BadRequest extends Error {
  override name = "BadRequest";
}

// Their meaning is tied to a connection, and every request here shares one: a SELECT or a MULTI from one
// client would reach all the others.
const RESTRICTED = new Set(
  (
    "AUTH HELLO RESET QUIT SELECT CLIENT ASKING READONLY READWRITE MULTI EXEC DISCARD WATCH UNWATCH MONITOR " +
    "SUBSCRIBE UNSUBSCRIBE PSUBSCRIBE PUNSUBSCRIBE SSUBSCRIBE SUNSUBSCRIBE"
  ).split(" "),
);

// They would block the shared connection, or stop, reconfigure or re-home the server behind it.
const UNAVAILABLE = new Set(
  (
    "BLPOP BRPOP BRPOPLPUSH BLMOVE BLMPOP BZPOPMIN BZPOPMAX BZMPOP WAIT WAITAOF " +
    "SHUTDOWN DEBUG CONFIG MODULE SWAPDB SAVE BGSAVE BGREWRITEAOF " +
    "REPLICAOF SLAVEOF SYNC PSYNC REPLCONF FAILOVER CLUSTER MIGRATE"
  ).split(" "),
);

/** Upstash's words for refusing `command` over REST, or undefined when it may run. */
export function refusalOf([name, ...args]: Command): string | undefined {
  if (RESTRICTED.has(name))
    return `ERR Command "${name}" is not allowed in REST or it has a special context path`;
  if (UNAVAILABLE.has(name) || name === "" || blocksOnStream(name, args)) return unavailable(name);
  return undefined;
}

/** A command's error as Upstash words it: Redis's own text, except for a command that does not exist. */
export function errorText(message: string, [name]: Command): string {
  return message.startsWith("ERR unknown command") ? unavailable(name) : message;
}

function unavailable(name: string): string {
  return `ERR Command is not available: '${name}'. See https://upstash.com/docs/redis/overall/rediscompatibility for details`;
}

function blocksOnStream(name: string, args: string[]): boolean {
  if (name !== "XREAD" && name !== "XREADGROUP") return false;
  const options = args.map((arg) => arg.toUpperCase());
  const block = options.indexOf("BLOCK");
  return block !== -1 && block < options.lastIndexOf("STREAMS");
}

/** `["SET", "k", 1]` as a command. Throws BadRequest. */
export function parseCommand(body: string): Command {
  return toCommand(parseJson(body));
}

/** `[["SET", "k", 1], ["GET", "k"]]` as commands. Throws BadRequest. */
export function parseCommands(body: string): Command[] {
  const rows = parseJson(body);
  if (!Array.isArray(rows))
    throw new BadRequest("ERR failed to parse request: expected an array of commands");
  if (rows.length === 0) throw new BadRequest("ERR empty pipeline request");
  return rows.map(toCommand);
}

/** `/set/key?EX=10` with the body `value` is `SET key value EX 10`. Throws BadRequest. */
export function commandFromUrl(url: URL, body: string): Command {
  try {
    const path = url.pathname.slice(1).split("/").map(decodeURIComponent);
    const options = [...url.searchParams].flat().filter((part) => part !== "");
    return toCommand([...path, ...(body === "" ? [] : [body]), ...options]);
  } catch (error) {
    if (error instanceof URIError) throw new BadRequest("ERR failed to parse request: malformed URL");
    throw error;
  }
}

// A number keeps the digits it was sent with: as a double, 9007199254740993 would arrive as ...992.
function parseJson(body: string): unknown {
  try {
    return JSON.parse(body, (_key, value: unknown, context?: { source?: string }) =>
      typeof value === "number" ? (context?.source ?? String(value)) : value,
    );
  } catch {
    throw new BadRequest("ERR failed to parse request: malformed JSON");
  }
}

function toCommand(row: unknown): Command {
  if (!Array.isArray(row))
    throw new BadRequest("ERR failed to parse request: expected a command as an array");
  if (row.length === 0) throw new BadRequest("ERR empty command");
  const [name = "", ...args] = row.map(toArgument);
  return [name.toUpperCase(), ...args];
}

function toArgument(value: unknown): string {
  if (typeof value === "string") return value;
  if (typeof value === "boolean") return String(value);
  if (value === null) throw new BadRequest("ERR null args are not supported");
  throw new BadRequest(`ERR unsupported arg type: ${Array.isArray(value) ? "array" : typeof value}`);
}
