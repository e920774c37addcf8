import { mkdir } from "node:fs/promises";
import type { Settings } from "../env.ts";
import type { Part } from "../part.ts";
import type { StoreTools } from "./tools.ts";

/** A store that can be reached: what the functions have to be told of it, and how to make its table or indexes. */
export type OpenedStore = Required<Part> & {
  /** False for a store in AWS, which is made by a deployment or on request. */
  isMadeAtStart: boolean;
  /** Makes what is missing. `told` hears of each step. */
  migrate(told?: (line: string) => void): Promise<void>;
  /** With connections of their own. */
  tools(): Promise<StoreTools>;
};

/** What AWS's SDK needs for servers on this machine: any will do, and a real account's have no business there. */
export const LOCAL_CREDENTIALS = {
  AWS_ACCESS_KEY_ID: "local",
  AWS_SECRET_ACCESS_KEY: "local",
  AWS_SESSION_TOKEN: undefined,
  AWS_PROFILE: undefined,
};

export const regionOf = (settings: Settings): string =>
  settings["AWS_REGION"] ?? settings["AWS_DEFAULT_REGION"] ?? "us-east-1";

/** Another process has the folder of the local store. */
export class StoreInUseError extends Error {
  readonly path: string;

  constructor(path: string, cause: unknown) {
    super(`another Parley has ${path}`, { cause });
    this.path = path;
  }
}

/** Starts an emulator on a folder, made when missing. @throws StoreInUseError */
export async function startOn<T>(path: string, start: (options: { path: string }) => Promise<T>): Promise<T> {
  await mkdir(path, { recursive: true });
  return start({ path }).catch((error: unknown) => {
    throw isLocked(error) ? new StoreInUseError(path, error) : error;
  });
}

function isLocked(error: unknown): boolean {
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    if ((cause as NodeJS.ErrnoException).code === "LEVEL_LOCKED") return true;
  }
  return false;
}
