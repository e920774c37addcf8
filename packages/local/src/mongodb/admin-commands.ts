import type { Document } from "mongodb";
import type { IndexSpec } from "./collection.ts";
import type { AdminCommand } from "./commands.ts";
import type { Engine } from "./engine.ts";
import { MongoServerFault } from "./errors.ts";
import { isSame, select } from "./query.ts";

const ID_INDEX: IndexSpec = { name: "_id_", key: { _id: 1 } };
const INDEX_OPTIONS = new Set(["v", "name", "key", "unique", "expireAfterSeconds", "background"]);

const existing = (engine: Engine, namespace: string) => {
  const collection = engine.existing(namespace);
  if (!collection) throw new MongoServerFault(26, `ns does not exist: ${namespace}`);
  return collection;
};

const collectionsOf = (engine: Engine, database: string) =>
  engine.all().filter(({ namespace }) => namespace.startsWith(`${database}.`));

export const adminCommands: Readonly<Record<string, AdminCommand>> = {
  ping: async () => ({ ok: 1 }),

  buildInfo: async () => ({ version: "8.0.0", versionArray: [8, 0, 0, 0], ok: 1 }),

  async create(engine, database, { create: name }) {
    const namespace = `${database}.${name}`;
    if (engine.existing(namespace)) throw new MongoServerFault(48, `Collection ${namespace} already exists.`);
    engine.collection(namespace);
    return { ok: 1 };
  },

  async drop(engine, database, { drop: name }) {
    const namespace = `${database}.${name}`;
    existing(engine, namespace);
    await engine.drop(namespace);
    return { ns: namespace, ok: 1 };
  },

  async dropDatabase(engine, database) {
    for (const { namespace } of collectionsOf(engine, database)) await engine.drop(namespace);
    return { dropped: database, ok: 1 };
  },

  async listDatabases(engine) {
    const names = new Set(engine.all().map(({ namespace }) => namespace.split(".")[0]));
    return {
      databases: [...names].map((name) => ({ name, sizeOnDisk: 0, empty: false })),
      totalSize: 0,
      ok: 1,
    };
  },

  async listCollections(engine, database, { filter = {} }, cursors) {
    const all = collectionsOf(engine, database).map(({ namespace }) => ({
      name: namespace.slice(database.length + 1),
      type: "collection",
      options: {},
      info: { readOnly: false },
      idIndex: { v: 2, ...ID_INDEX },
    }));
    return cursors.open(`${database}.$cmd.listCollections`, select(all, { filter }), {});
  },

  async createIndexes(engine, database, { createIndexes: name, indexes }) {
    const namespace = `${database}.${name}`;
    const createdCollectionAutomatically = engine.existing(namespace) === undefined;
    const collection = engine.collection(namespace);
    const numIndexesBefore = collection.indexes.size + 1;
    for (const wanted of indexes as Document[]) {
      const index = toIndex(wanted);
      if (!isThere([ID_INDEX, ...collection.indexes.values()], index))
        await engine.addIndex(collection, index);
    }
    const numIndexesAfter = collection.indexes.size + 1;
    return { numIndexesBefore, numIndexesAfter, createdCollectionAutomatically, ok: 1 };
  },

  async listIndexes(engine, database, { listIndexes: name }, cursors) {
    const namespace = `${database}.${name}`;
    const all = [ID_INDEX, ...existing(engine, namespace).indexes.values()];
    return cursors.open(
      namespace,
      all.map((index) => ({ v: 2, ...index })),
      {},
    );
  },

  async dropIndexes(engine, database, { dropIndexes: name, index }) {
    const collection = existing(engine, `${database}.${name}`);
    const names = index === "*" ? [...collection.indexes.keys()] : [index].flat();
    for (const each of names) {
      if (!collection.indexes.has(each))
        throw new MongoServerFault(27, `index not found with name [${each}]`);
      await engine.dropIndex(collection, each);
    }
    return { nIndexesWas: collection.indexes.size + names.length + 1, ok: 1 };
  },
};

function toIndex(wanted: Document): IndexSpec {
  const unknown = Object.keys(wanted).find((option) => !INDEX_OPTIONS.has(option));
  if (unknown) throw new MongoServerFault(67, `an index with ${unknown} is not emulated here`);
  const { name, key, unique, expireAfterSeconds } = wanted;
  if (!Object.values(key).every((direction) => direction === 1 || direction === -1))
    throw new MongoServerFault(67, "only indexes by 1 and -1 are emulated here");
  return {
    name,
    key,
    ...(unique && { unique }),
    ...(expireAfterSeconds !== undefined && { expireAfterSeconds }),
  };
}

/** @throws MongoServerFault when one of that name or key is another */
function isThere(indexes: readonly IndexSpec[], wanted: IndexSpec): boolean {
  for (const index of indexes) {
    const hasKey = isSame(index.key, wanted.key);
    if (index.name === wanted.name && !hasKey)
      throw new MongoServerFault(
        86,
        `An existing index has the same name as the requested index: ${wanted.name}`,
      );
    if (!hasKey) continue;
    if (index.name !== ID_INDEX.name && !isSame(index, { ...index, ...wanted, name: wanted.name }))
      throw new MongoServerFault(85, `Index already exists with a different name or options: ${index.name}`);
    if (index.unique !== wanted.unique && index.name !== ID_INDEX.name)
      throw new MongoServerFault(85, `Index already exists with different options: ${index.name}`);
    return true;
  }
  return false;
}
