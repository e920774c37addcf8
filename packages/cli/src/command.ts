import type { ParseArgsConfig } from "node:util";
import { parseArgs } from "node:util";
import type { Api } from "./api.ts";

/** The command line is wrong. Exit code 2. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

export type Command = {
  /** Shown by `--help`. */
  help: string;
  /** Writes its result to stdout. */
  run(args: string[], api: Api): Promise<void>;
};

type Options = NonNullable<ParseArgsConfig["options"]>;

export function parseCommand<const T extends Options>(args: string[], options: T) {
  try {
    return parseArgs({ args, options, allowPositionals: true });
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}

/** Text from the service, without the control characters by which it could drive the terminal. */
export function printable(text: unknown): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for.
  return String(text ?? "").replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g, "");
}

/** An ISO timestamp in this machine's time zone, to the minute: 2026-03-01 09:30. */
export function localTime(timestamp: unknown): string {
  const date = new Date(String(timestamp));
  if (Number.isNaN(date.getTime())) return "";
  const pad = (value: number) => String(value).padStart(2, "0");
  const day = `${date.getFullYear()}-${pad(date.getMonth() + 1)}-${pad(date.getDate())}`;
  return `${day} ${pad(date.getHours())}:${pad(date.getMinutes())}`;
}
