import { readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { connectControl } from "./telegram/control-http.ts";

/** One of this machine that is there answers at once. */
const ANSWER_MS = 2_000;

/** Where a running `npm run dev` tells others of its local Bot API. */
const fileIn = (dataDir: string) => join(dataDir, "telegram-api-root");

/** Undefined: there is none. */
export async function shareBotApi(dataDir: string, url: string | undefined): Promise<void> {
  if (url === undefined) await rm(fileIn(dataDir), { force: true });
  else await writeFile(fileIn(dataDir), url, { mode: 0o600 });
}

/**
 * The local Bot API of a running `npm run dev`, if there is one: a file may have outlived its process, and somebody else
 * may listen at that address by now.
 */
export async function findBotApi(dataDir: string): Promise<string | undefined> {
  const url = await readFile(fileIn(dataDir), "utf8").catch(() => undefined);
  if (url === undefined) return undefined;
  const answer = connectControl(url)
    .bots()
    .then(
      (bots) => (Array.isArray(bots) ? url : undefined),
      () => undefined,
    );
  return Promise.race([answer, sleep(ANSWER_MS, undefined, { ref: false })]);
}
