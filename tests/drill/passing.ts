import type { IncomingHttpHeaders } from "node:http";

/** What an instance depends on. */
export const engines = ["store", "redis", "model", "weather", "openMeteo", "telegram", "queue"] as const;
export type Engine = (typeof engines)[number];

/** A request on its way from an instance to an engine. */
export type Passing = {
  engine: Engine;
  instance: number;
  /** As the engine calls it: `UpdateItem`, `GETEX session`, `reply`, `sendMessage`, or a path. */
  operation: string;
  /** The turn that it is about, where the request tells: see `nameIn`. */
  turn: string | undefined;
  /** By `performance.now()`. */
  at: number;
  body: string;
};

/** A turn's name as messages and replies carry it. */
export const named = (turn: string) => `[${turn}]`;
export const nameIn = (text: string) => /\[(c\d+m\d+)\]/.exec(text)?.[1];

export function passingOf(
  engine: Engine,
  instance: number,
  request: { path: string; headers: IncomingHttpHeaders; body: string },
): Passing {
  const { path, headers, body } = request;
  const at = performance.now();
  return {
    engine,
    instance,
    at,
    body,
    operation: operationOf(engine, path, headers, body),
    turn: turnOf(engine, body),
  };
}

function operationOf(engine: Engine, path: string, headers: IncomingHttpHeaders, body: string): string {
  switch (engine) {
    case "store":
    case "queue":
      return String(headers["x-amz-target"]).split(".").at(-1) ?? "";
    case "redis": {
      const commands = JSON.parse(body) as string[] | string[][];
      return (Array.isArray(commands[0]) ? (commands as string[][]) : [commands as string[]])
        .map(commandOf)
        .join(" + ");
    }
    case "model":
      // Titles and summaries are asked for without tools.
      return "tools" in JSON.parse(body) ? "reply" : "other";
    case "telegram":
      return path.split("/").at(-1) ?? "";
    case "weather":
    case "openMeteo":
      return path.replace(/\?.*/, "");
  }
}

/** The command and the kind of its key. */
function commandOf([command = "", ...args]: string[]): string {
  const key = /^eval/i.test(command) ? args[2] : args[0];
  return `${command.toUpperCase()} ${String(key).split(":")[0]}`;
}

/** The model is sent the whole conversation; all the others at most one turn. */
function turnOf(engine: Engine, body: string): string | undefined {
  if (engine !== "model") return nameIn(body);
  const { messages = [] } = JSON.parse(body) as { messages?: { role: string; content: unknown }[] };
  return nameIn(String(messages.findLast(({ role }) => role === "user")?.content));
}
