import { join } from "node:path";
import { answer, answerLines } from "./ask.ts";
import { banner } from "./banner.ts";
import { chat } from "./chat.ts";
import { createClient } from "./client.ts";
import {
  commonOptions,
  dataDirOf,
  exitWith,
  parse,
  ROOT,
  settingsFileOf,
  UsageError,
} from "./command-line.ts";
import { dev } from "./dev.ts";
import type { Settings } from "./env.ts";
import { loadSettings } from "./env.ts";
import type { LogFile } from "./log-file.ts";
import { openLogFile } from "./log-file.ts";
import { startStack } from "./stack.ts";
import type { StopSignal } from "./stop.ts";
import { exitCodeOf, runUntilStopped } from "./stop.ts";

const DEFAULT_PORT = 3000;

const HELP = `Parley on this machine: the functions that AWS runs, with a local stand-in for every service not configured.

  npm start -- "question"     answer it and exit
  npm start                   chat, on a terminal
  ... | npm start             answer standard input line by line, as one conversation
  npm run dev                 keep the API on port 3000 (PORT=n for another), restarting on change

  -q, --quiet                 no table of parts
      --settings <file>       instead of .env, whose settings the environment overrides; .env.example explains them
      --data <folder>         instead of .local, for conversations, history and parley.log
  -h, --help

A question that begins with a dash goes after a "--" of its own.
Exit codes: 0 answered, 1 not answered, 2 wrong usage, 128 + n ended by signal n.
`;

type Options = { settingsFile: string; dataDir: string; quiet: boolean };

/** Runs `start` or `dev` and returns the exit code. */
async function main(argv: string[]): Promise<number> {
  const { values, positionals } = parse(argv, { ...commonOptions, quiet: { type: "boolean", short: "q" } });
  const [command = "start", ...words] = positionals;
  if (values.help) {
    process.stdout.write(HELP);
    return 0;
  }
  const options = {
    settingsFile: settingsFileOf(values),
    dataDir: dataDirOf(values),
    quiet: values.quiet ?? false,
  };
  if (command === "start") return start(words, options);
  if (command !== "dev")
    throw new UsageError(`there is no command ${command}; the commands are start and dev`);
  if (words.length > 0) throw new UsageError(`dev takes no arguments: ${words.join(" ")}`);
  return startDev(options);
}

async function start(words: string[], { settingsFile, dataDir, quiet }: Options): Promise<number> {
  const question = words.join(" ");
  if (words.length > 0 && question.trim() === "") throw new UsageError("the question is empty");
  const env = await loadSettings(settingsFile, process.env);
  return withLog(dataDir, (logFile) =>
    runUntilStopped(async (stopped) => {
      // Nobody but this process asks, and it has no key.
      const open = Object.fromEntries(Object.entries(env).filter(([name]) => name !== "API_KEYS"));
      const stack = await startStack({ env: open, dataDir, log: logFile.write });
      try {
        stopped.throwIfAborted();
        if (!quiet) process.stderr.write(banner(stack.summary, stack.startedInMs, process.stderr));
        const client = createClient(stack.url);
        if (question !== "") return (await answer(client, question, stopped)) ? 0 : 1;
        if (!process.stdin.isTTY) return (await answerLines(client, stopped)) ? 0 : 1;
        stack.gateway.warm("continue-conversation");
        await chat(client, join(dataDir, "history"), stopped);
        return 0;
      } finally {
        await stack.close();
      }
    }),
  );
}

async function startDev({ settingsFile, dataDir }: Options): Promise<number> {
  const readSettings = async () => {
    const env = await loadSettings(settingsFile, process.env);
    return { env, port: portOf(env) };
  };
  return withLog(dataDir, (logFile) =>
    runUntilStopped(async (stopped) => {
      await dev({ root: ROOT, settingsFile, dataDir, logFile, readSettings, stopped });
      // Ctrl-C is how one leaves.
      return stopped.reason === "SIGINT" ? 0 : exitCodeOf(stopped.reason as StopSignal);
    }),
  );
}

async function withLog(dataDir: string, use: (logFile: LogFile) => Promise<number>): Promise<number> {
  const logFile = await openLogFile(dataDir);
  try {
    return await use(logFile);
  } finally {
    await logFile.close();
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
  if (port === undefined) return error.message;
  if (code === "EADDRINUSE")
    return `port ${port} is taken; choose another with PORT, as in PORT=3001 npm run dev`;
  if (code === "EACCES") return `port ${port} is not allowed; choose another with PORT`;
  return error.message;
}

await exitWith("parley", () => main(process.argv.slice(2)), { describe });
