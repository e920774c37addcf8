import { idKeyOf, valueAt } from "./collection.ts";
import { BlockedError, type Engine } from "./engine.ts";

/** Removes what a TTL index says has expired; a document that somebody is writing stays until the next time. */
export async function sweepExpired(engine: Engine, now: number): Promise<void> {
  for (const collection of engine.all()) {
    for (const { key, expireAfterSeconds } of collection.indexes.values()) {
      if (expireAfterSeconds === undefined) continue;
      const path = Object.keys(key)[0] ?? "";
      const transaction = engine.begin();
      for (const document of transaction.scan(collection, {})) {
        const at = valueAt(document, path);
        if (!(at instanceof Date) || at.getTime() + expireAfterSeconds * 1_000 > now) continue;
        try {
          transaction.write(collection, idKeyOf(document["_id"]), undefined);
        } catch (error) {
          if (!(error instanceof BlockedError)) throw error;
        }
      }
      await engine.commit(transaction);
    }
  }
}
