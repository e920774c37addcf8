import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { answer, answerLines } from "./ask.ts";
import { banner } from "./banner.ts";
import { chat } from "./chat.ts";
import { createClient } from "./client.ts";
import { dev } from "./dev.ts";
import type { Settings } from "./env.ts";
import { loadSettings } from "./env.ts";
import type { LogFile } from "./log-file.ts";
import { openLogFile } from "./log-file.ts";
import { startStack } from "./stack.ts";
import type { StopSignal } from "./stop.ts";
import { exitCodeOf, runUntilStopped } from "./stop.ts";

const ROOT = new URL("../../../", import.meta.url);
const DATA_DIR = fileURLToPath(new URL(".local/", ROOT));
const DEFAULT_PORT = 3000;

const HELP = `Parley on this machine: the functions that AWS runs, with a local stand-in for every service not configured.

  npm start -- "question"     answer it and exit
  npm start                   chat, on a terminal
  ... | npm start             answer standard input line by line, as one conversation
  npm run dev                 keep the API on port 3000 (PORT=n for another), restarting on change

Options of start: -q, --quiet (no table of parts), -h, --help. A question that begins with a dash goes after "--".
Settings come from .env and the environment; .env.example explains them. Logs are in .local/parley.log.
Exit codes: 0 answered, 1 not answered, 2 wrong usage, 128 + n ended by signal n.
`;

class UsageError extends Error {}

/** Runs `start` or `dev` and returns the exit code. */
async function main(argv: string[]): Promise<number> {
  const [command = "start", ...rest] = argv;
  if (command === "-h" || command === "--help") return help();
  if (command === "start") return start(rest);
  if (command === "dev") return startDev(rest);
  throw new UsageError(`there is no command ${command}; the commands are start and dev`);
}

async function start(args: string[]): Promise<number> {
  const { values, positionals } = parse(args);
  if (values.help) return help();
  const question = positionals.join(" ");
  if (positionals.length > 0 && question.trim() === "") throw new UsageError("the question is empty");
  const env = await loadSettings(new URL(".env", ROOT), process.env);
  return withLog((logFile) =>
    runUntilStopped(async (stopped) => {
      const stack = await startStack({ env, dataDir: DATA_DIR, log: logFile.write });
      try {
        stopped.throwIfAborted();
        if (!values.quiet) {
          process.stderr.write(banner(stack.summary, stack.startedInMs, process.stderr));
        }
        const client = createClient(stack.url);
        if (question !== "") return (await answer(client, question, stopped)) ? 0 : 1;
        if (!process.stdin.isTTY) return (await answerLines(client, stopped)) ? 0 : 1;
        stack.gateway.warm("continue-conversation");
        await chat(client, join(DATA_DIR, "history"), stopped);
        return 0;
      } finally {
        await stack.close();
      }
    }),
  );
}

async function startDev(args: string[]): Promise<number> {
  const { values, positionals } = parse(args);
  if (values.help) return help();
  if (positionals.length > 0) throw new UsageError(`dev takes no arguments: ${positionals.join(" ")}`);
  const readSettings = async () => {
    const env = await loadSettings(new URL(".env", ROOT), process.env);
    return { env, port: portOf(env) };
  };
  return withLog((logFile) =>
    runUntilStopped(async (stopped) => {
      await dev({ root: ROOT, dataDir: DATA_DIR, logFile, readSettings, stopped });
      // Ctrl-C is how one leaves.
      return stopped.reason === "SIGINT" ? 0 : exitCodeOf(stopped.reason as StopSignal);
    }),
  );
}

async function withLog(use: (logFile: LogFile) => Promise<number>): Promise<number> {
  const logFile = await openLogFile(DATA_DIR);
  try {
    return await use(logFile);
  } finally {
    await logFile.close();
  }
}

function help(): number {
  process.stdout.write(HELP);
  return 0;
}

function parse(args: string[]) {
  try {
    const options = {
      help: { type: "boolean", short: "h" },
      quiet: { type: "boolean", short: "q" },
    } as const;
    return parseArgs({ args, options, allowPositionals: true });
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}

function portOf(env: Settings): number {
  const port = Number(env["PORT"] ?? DEFAULT_PORT);
  if (Number.isInteger(port) && port >= 0 && port <= 65_535) return port;
  throw new UsageError(`PORT is ${env["PORT"]}, which is not a port number`);
}

/** One line that says what to do. */
function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { code, port } = error as NodeJS.ErrnoException & { port?: number };
  if (code === "EADDRINUSE")
    return `port ${port} is taken; choose another with PORT, as in PORT=3001 npm run dev`;
  if (code === "EACCES" && port !== undefined) return `port ${port} is not allowed; choose another with PORT`;
  return error.message;
}

try {
  process.exit(await main(process.argv.slice(2)));
} catch (error) {
  process.stderr.write(`parley: ${describe(error)}\n`);
  process.exit(error instanceof UsageError ? 2 : 1);
}
