import { createInterface } from "node:readline";
import type { Client } from "./client.ts";
import { AskError } from "./client.ts";
import { startSpinner } from "./spinner.ts";

/** Asks, waits with a spinner on stderr, and writes the answer to stdout or the failure to stderr. False on failure. */
export async function answer(client: Client, message: string, stopped: AbortSignal): Promise<boolean> {
  const stopSpinner = startSpinner(process.stderr);
  try {
    const reply = await client.ask(message, stopped);
    stopSpinner();
    process.stdout.write(`${printable(reply)}\n`);
    return true;
  } catch (error) {
    stopSpinner();
    if (!(error instanceof AskError)) throw error;
    process.stderr.write(`parley: ${printable(error.message)}\n`);
    return false;
  }
}

/** Each line of stdin is a question of one conversation, answered in order; blank lines are skipped. */
export async function answerLines(client: Client, stopped: AbortSignal): Promise<boolean> {
  const lines = createInterface({
    input: process.stdin,
    crlfDelay: Number.POSITIVE_INFINITY,
    signal: stopped,
  });
  let asked = 0;
  let succeeded = true;
  for await (const line of lines) {
    if (line.trim() === "") continue;
    asked += 1;
    if (!(await answer(client, line, stopped))) succeeded = false;
  }
  stopped.throwIfAborted();
  if (asked === 0)
    process.stderr.write("parley: no question: standard input was empty (see npm start -- --help)\n");
  return succeeded;
}

/** Without the control characters by which text from elsewhere could drive the terminal. */
export function printable(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for.
  return text.replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g, "");
}
