import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { type ParseArgsConfig, parseArgs } from "node:util";

/** The repository's. */
export const ROOT = fileURLToPath(new URL("../../../", import.meta.url));

/** What every command line takes. */
export const commonOptions = {
  settings: { type: "string" },
  data: { type: "string" },
  help: { type: "boolean", short: "h" },
} as const;

/** The command line is wrong. Exit code 2. */
export class UsageError extends Error {}

/** @throws UsageError */
export function parse<const T extends NonNullable<ParseArgsConfig["options"]>>(args: string[], options: T) {
  try {
    return parseArgs({ args, options, allowPositionals: true });
  } catch (error) {
    throw new UsageError(messageOf(error));
  }
}

export const settingsFileOf = ({ settings }: { settings?: string | undefined }): string =>
  settings === undefined ? join(ROOT, ".env") : resolve(settings);

export const dataDirOf = ({ data }: { data?: string | undefined }): string =>
  data === undefined ? join(ROOT, ".local") : resolve(data);

const messageOf = (error: unknown) => (error instanceof Error ? error.message : String(error));

/** Ends with the exit code that `main` returns, else says in one line what is wrong; `hint` follows wrong usage. */
export async function exitWith(
  name: string,
  main: () => Promise<number>,
  { describe = messageOf, hint }: { describe?: (error: unknown) => string; hint?: string } = {},
): Promise<never> {
  try {
    process.exit(await main());
  } catch (error) {
    process.stderr.write(`${name}: ${describe(error)}\n`);
    const isUsage = error instanceof UsageError;
    if (isUsage && hint !== undefined) process.stderr.write(`${hint}\n`);
    process.exit(isUsage ? 2 : 1);
  }
}
