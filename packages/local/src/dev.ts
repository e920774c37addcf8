import { join, relative } from "node:path";
import { pathToFileURL } from "node:url";
import type { Route } from "@parley/functions/api/routes";
import { printable } from "./ask.ts";
import { banner } from "./banner.ts";
import type { Settings } from "./env.ts";
import type { GatewayLog } from "./gateway/server.ts";
import type { LogFile } from "./log-file.ts";
import { shareBotApi } from "./shared-bot-api.ts";
import type { Stack } from "./stack.ts";
import { startStack } from "./stack.ts";
import { changesIn } from "./watch.ts";

export type DevOptions = {
  /** The repository's folder. */
  root: string;
  settingsFile: string;
  dataDir: string;
  logFile: LogFile;
  readSettings: () => Promise<{ env: Settings; port: number }>;
  stopped: AbortSignal;
};

const SOURCE = ["packages/core/src", "packages/functions/src"];

/**
 * Keeps the stack running until `stopped`: fresh functions when their source changes, a fresh stack when the settings do.
 * Rejects when the first start fails; a later failure is shown, and their next change tries again.
 */
export async function dev(options: DevOptions): Promise<void> {
  const { root, settingsFile, stopped } = options;
  const watched = { files: [settingsFile], folders: SOURCE.map((folder) => join(root, folder)) };
  let stack: Stack | undefined = await start(options);
  try {
    for await (const changed of changesIn(watched, stopped)) {
      if (changed.includes(settingsFile)) {
        process.stdout.write(`${relative(root, settingsFile)} changed, starting again\n`);
        await stack?.close();
        stack = undefined;
        stack = await start(options).catch(showError);
      } else if (stack !== undefined) {
        const names = changed.map((path) => relative(root, path)).join(", ");
        process.stdout.write(`${names} changed, fresh functions from here on\n`);
        await reload(stack, root).catch(showError);
      }
    }
  } finally {
    await stack?.close();
  }
}

async function start({ dataDir, logFile, readSettings }: DevOptions): Promise<Stack> {
  const log = (entry: GatewayLog) => {
    logFile.write(entry);
    const line = logLine(entry);
    if (line !== undefined) process.stdout.write(`${printable(line)}\n`);
  };
  const stack = await startStack({ ...(await readSettings()), dataDir, telegram: true, log });
  await shareBotApi(dataDir, stack.botApiUrl);
  stack.gateway.warm("continue-conversation");
  process.stderr.write(banner(stack.summary, stack.startedInMs, process.stderr));
  process.stdout.write(`${curlLine(stack.url)}\n\n`);
  return stack;
}

function showError(error: unknown): undefined {
  process.stderr.write(`parley: ${error instanceof Error ? error.message : String(error)}\n`);
}

/** The routes may be what changed: they are read again under an address that the module cache does not know. */
async function reload(stack: Stack, root: string): Promise<void> {
  const module = pathToFileURL(join(root, "packages/functions/src/api/routes.ts")).href;
  const { routes } = (await import(`${module}?at=${Date.now()}`)) as { routes: readonly Route[] };
  stack.reload(routes);
  stack.gateway.warm("continue-conversation");
}

function curlLine(url: string): string {
  const body = JSON.stringify({
    message: "What is the weather in Barcelona?",
    session_metadata: { platform: "cli", user_id: "me", chat_id: "1" },
  });
  return `curl -sS ${url}/v1/messages -H 'content-type: application/json' -d '${body}'`;
}

/** What a developer wants to see at once; everything else is in the log file. */
export function logLine(entry: GatewayLog): string | undefined {
  if (entry.type === "request") {
    const cold = entry.coldStartMs === undefined ? "" : ` (cold start ${Math.round(entry.coldStartMs)} ms)`;
    return `${entry.method} ${entry.path} ${entry.status} ${Math.round(entry.durationMs)} ms${cold}`;
  }
  if (entry.type === "failure") return `${entry.functionName}: ${entry.message}`;
  if (entry.type === "cold_start") return undefined;
  const record = parseRecord(entry.line);
  // A line that is no JSON is somebody's own print.
  if (record === undefined) return `${entry.functionName}: ${entry.line}`;
  if (!/^(?:WARN|ERROR|CRITICAL)$/.test(String(record["level"]))) return undefined;
  return `${entry.functionName} ${record["level"]}: ${record["message"]}`;
}

function parseRecord(line: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}
