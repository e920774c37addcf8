import { Config } from "@parley/core/config";
import type { Settings } from "../env.ts";
import type { Part } from "../part.ts";
import { openDynamo } from "./dynamo.ts";
import { type OpenedStore, StoreInUseError } from "./opened-store.ts";

/** Opens the store that `STORE` names. MongoDB's driver is loaded only for it. */
export async function openStore(
  settings: Settings,
  dataDir: string,
  options: { inMemory?: boolean } = {},
): Promise<OpenedStore> {
  if (new Config(settings).storeKind === "dynamodb") return openDynamo(settings, dataDir, options);
  const { openMongo } = await import("./mongo.ts");
  return openMongo(settings, dataDir, options);
}

/**
 * Where conversations are kept, its table or indexes made. On disk; in memory while another process has the folder, so that
 * a question beside `npm run dev` is answered.
 */
export async function store(settings: Settings, dataDir: string): Promise<Part> {
  const opened = await openStore(settings, dataDir).catch((error: unknown) => {
    if (error instanceof StoreInUseError) return openStore(settings, dataDir, { inMemory: true });
    throw error;
  });
  try {
    if (opened.isMadeAtStart) await opened.migrate();
  } catch (error) {
    await opened.close();
    throw error;
  }
  return opened;
}
