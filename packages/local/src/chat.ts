import { appendFile, readFile } from "node:fs/promises";
import { createInterface } from "node:readline";
import { styleText } from "node:util";
import { answer } from "./ask.ts";
import type { Client } from "./client.ts";

const HISTORY_LINES = 500;

const HELP = `  /new   start a new conversation
  /help  show this
  /quit  leave (so do Ctrl-D and Ctrl-C)
`;

/**
 * A conversation on the terminal, until the person leaves: at /quit, Ctrl-D or Ctrl-C, the last of which also gives
 * up an answer under way. Lines typed while waiting are asked next. `historyFile` keeps what was asked.
 */
export async function chat(client: Client, historyFile: string, stopped: AbortSignal): Promise<void> {
  const leaving = new AbortController();
  const left = AbortSignal.any([stopped, leaving.signal]);
  const terminal = createInterface({
    input: process.stdin,
    output: process.stdout.isTTY ? process.stdout : process.stderr,
    terminal: true,
    prompt: "> ",
    history: await readHistory(historyFile),
    historySize: HISTORY_LINES,
    removeHistoryDuplicates: true,
    signal: left,
  });
  // In raw mode Ctrl-C is a key, not a signal.
  terminal.on("SIGINT", () => leaving.abort());

  process.stderr.write(
    styleText("dim", "Ask something; /help lists the commands.\n", { stream: process.stderr }),
  );
  terminal.prompt();
  try {
    for await (const typed of terminal) {
      const line = typed.trim();
      if (line === "/quit" || line === "/exit") return;
      if (line.startsWith("/")) process.stderr.write(runCommand(line, client));
      else if (line !== "") {
        await appendFile(historyFile, `${line}\n`, { mode: 0o600 });
        await answer(client, line, left);
      }
      // Keeps what has been typed meanwhile.
      terminal.prompt(true);
    }
    stopped.throwIfAborted();
  } catch (error) {
    if (!leaving.signal.aborted) throw error;
  } finally {
    terminal.close();
    process.stderr.write("\n");
  }
}

function runCommand(line: string, client: Client): string {
  if (line === "/help") return HELP;
  if (line !== "/new") return `There is no command ${line}; /help lists them.\n`;
  client.startOver();
  return "A new conversation.\n";
}

/** Newest first, as readline wants it. */
async function readHistory(historyFile: string): Promise<string[]> {
  const text = await readFile(historyFile, "utf8").catch(() => "");
  return text.split("\n").filter(Boolean).slice(-HISTORY_LINES).reverse();
}
