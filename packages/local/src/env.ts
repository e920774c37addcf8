import { readFile } from "node:fs/promises";
import { parseEnv } from "node:util";

/** Settings by name; none is blank. */
export type Settings = Record<string, string>;

/** What npm and Node set up for this very process; a function on AWS would not see it. */
const NOT_SETTINGS = /^(?:npm_|NODE_OPTIONS$|NODE_PATH$|INIT_CWD$)/;

/**
 * The settings: a `.env` file (none is fine), overlaid by real environment variables. Blank means "not set", so a
 * copied `.env.example` configures nothing, and `OPENAI_API_KEY= npm start` turns one setting off.
 */
export async function loadSettings(
  file: string,
  variables: Record<string, string | undefined>,
): Promise<Settings> {
  const settings = { ...(await readEnvFile(file)), ...variables };
  return Object.fromEntries(
    Object.entries(settings).filter(
      (entry): entry is [string, string] => (entry[1] ?? "").trim() !== "" && !NOT_SETTINGS.test(entry[0]),
    ),
  );
}

async function readEnvFile(file: string): Promise<Record<string, string | undefined>> {
  try {
    return parseEnv(await readFile(file, "utf8"));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return {};
    throw error;
  }
}
