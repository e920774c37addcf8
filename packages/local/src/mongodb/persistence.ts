import { ClassicLevel } from "classic-level";
import { BSON, type Document } from "mongodb";
import type { IndexSpec } from "./collection.ts";

export interface Storage {
  /** Every index, and then every document. */
  all(): AsyncIterable<{ namespace: string; index?: IndexSpec; document?: Document }>;
  /** All or none of them, for a process that is killed; without a document it is removed. */
  write(batch: readonly { namespace: string; id: string; document: Document | undefined }[]): Promise<void>;
  writeIndex(namespace: string, index: IndexSpec): Promise<void>;
  dropIndex(namespace: string, name: string): Promise<void>;
  drop(namespace: string): Promise<void>;
  close(): Promise<void>;
}

/** Kept in LevelDB: `d` and `i`, the namespace, the id or name, with NUL between them, which none of them can hold. */
const keyOf = (kind: "d" | "i", namespace: string, name: string) => `${kind}\u0000${namespace}\u0000${name}`;

export async function openLevel(path: string): Promise<Storage> {
  const level = new ClassicLevel<string, Uint8Array>(path, { valueEncoding: "view" });
  await level.open();
  return {
    async *all() {
      for (const kind of ["i", "d"]) {
        for await (const [key, value] of level.iterator({ gte: `${kind}\u0000`, lt: `${kind}\u0001` })) {
          const namespace = key.split("\u0000")[1] ?? "";
          const found = BSON.deserialize(value);
          yield kind === "i" ? { namespace, index: found as IndexSpec } : { namespace, document: found };
        }
      }
    },
    async write(batch) {
      if (batch.length === 0) return;
      await level.batch(
        batch.map(({ namespace, id, document }) => {
          const key = keyOf("d", namespace, id);
          return document ? { type: "put", key, value: BSON.serialize(document) } : { type: "del", key };
        }),
      );
    },
    writeIndex: (namespace, index) => level.put(keyOf("i", namespace, index.name), BSON.serialize(index)),
    dropIndex: (namespace, name) => level.del(keyOf("i", namespace, name)),
    async drop(namespace) {
      for (const kind of ["i", "d"] as const) {
        await level.clear({ gte: keyOf(kind, namespace, ""), lt: `${kind}\u0000${namespace}\u0001` });
      }
    },
    close: () => level.close(),
  };
}
