import { spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import type { Finished } from "./process.ts";
import { quietEnvironment } from "./process.ts";
import { storeUnderTest } from "./store-engine.ts";

export const program = fileURLToPath(new URL("../../packages/local/bin/parley.mjs", import.meta.url));

export type RunOptions = { env?: Record<string, string>; stdin?: string; data?: string; settings?: string };

/** A running `parley`; `output` grows as it writes, both streams together. */
export type Running = {
  send(text: string): void;
  /** Stops reading what it writes, as `head` does. */
  hangUp(): void;
  kill(signal: NodeJS.Signals): void;
  output(): string;
  finished: Promise<Finished>;
  /** Commands of processes that were started by this run, at whatever depth, and still live. Linux only. */
  survivors(): string[];
  /** Resolves when there are none, within moments of its end. */
  gone(): Promise<void>;
};

const folders: string[] = [];

export async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "parley-e2e-"));
  folders.push(folder);
  return folder;
}

export async function removeTemporaryFolders(): Promise<void> {
  await Promise.all(folders.splice(0).map((folder) => rm(folder, { recursive: true, force: true })));
}

/** Arguments that keep a run away from the developer's own `.env` and `.local`. */
export async function parleyArgs(args: string[], { data, settings }: RunOptions = {}): Promise<string[]> {
  const folder = data ?? (await temporaryFolder());
  const own = ["--data", folder, "--settings", settings ?? join(folder, "no.env")];
  const [command = "start", ...rest] = args;
  return [program, command, ...own, ...rest];
}

/** Starts `parley`; without `stdin` its standard input stays open for `send`. */
export async function startParley(args: string[], options: RunOptions = {}): Promise<Running> {
  return start(process.execPath, await parleyArgs(args, options), options);
}

export async function runParley(args: string[], options: RunOptions = {}): Promise<Finished> {
  return (await startParley(args, { stdin: "", ...options })).finished;
}

/** Whether `script` of util-linux is there to give a program a terminal. */
export const hasTerminals = process.platform === "linux" && existsSync("/usr/bin/script");

/** Starts `parley` on a terminal of its own, on which `send` types. All output comes on stdout. */
export async function startOnTerminal(args: string[], options: RunOptions = {}): Promise<Running> {
  const command = [process.execPath, ...(await parleyArgs(args, options))];
  const quoted = command.map((word) => `'${word}'`).join(" ");
  return start(
    "/usr/bin/script",
    ["--quiet", "--return", "--flush", "--command", quoted, "/dev/null"],
    options,
  );
}

function start(file: string, args: string[], { env, stdin }: RunOptions): Running {
  const mark = randomUUID();
  const child = spawn(file, args, {
    env: { ...quietEnvironment(), TERM: "xterm", STORE: storeUnderTest(), ...env, PARLEY_TEST_RUN: mark },
    stdio: "pipe",
  });
  child.stdin.on("error", () => {});
  if (stdin !== undefined) child.stdin.end(stdin);
  const written = { stdout: "", stderr: "" };
  let output = "";
  for (const name of ["stdout", "stderr"] as const) {
    child[name].setEncoding("utf8").on("data", (chunk: string) => {
      written[name] += chunk;
      output += chunk;
    });
  }
  const finished = once(child, "close").then(
    ([code, signal]: unknown[]) => ({ ...written, code, signal }) as Finished,
  );
  const survivors = () => processesMarked(`PARLEY_TEST_RUN=${mark}`);
  return {
    send: (line) => child.stdin.write(line),
    hangUp: () => child.stdout.destroy(),
    kill: (signal) => child.kill(signal),
    output: () => output,
    finished,
    survivors,
    async gone() {
      // A server's watchdog ends a moment after both.
      for (const until = Date.now() + 5_000; survivors().length > 0 && Date.now() < until; ) await sleep(20);
      if (survivors().length > 0) throw new Error(`still running: ${survivors().join("; ")}`);
    },
  };
}

function processesMarked(mark: string): string[] {
  if (!existsSync("/proc/self/environ")) return [];
  return readdirSync("/proc").flatMap((pid) => {
    try {
      const marked = /^\d+$/.test(pid) && readFileSync(`/proc/${pid}/environ`, "utf8").includes(mark);
      return marked ? [readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ")] : [];
    } catch {
      return []; // ended meanwhile, or another user's
    }
  });
}
