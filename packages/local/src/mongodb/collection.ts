import { BSON, type Document } from "mongodb";
import { MongoServerFault } from "./errors.ts";

export type IndexSpec = { name: string; key: Document; unique?: boolean; expireAfterSeconds?: number };

/** A document from commit `at` on; absent from then on when it was removed. */
type Version = { at: number; document: Document | undefined };

/** `_id` as a key; numbers are told apart by value and not by type. */
export const idKeyOf = (id: unknown): string => BSON.EJSON.stringify({ id }, { relaxed: false });

/** Of a document or of a filter: the value at a dotted path, null when there is none. */
export function valueAt(document: Document, path: string): unknown {
  let value: unknown = document;
  for (const name of path.split(".")) {
    if (typeof value !== "object" || value === null || !Object.hasOwn(value, name)) return null;
    value = (value as Document)[name];
  }
  return value ?? null;
}

/**
 * Documents with the versions that open transactions may still look at. Indexes are supersets: they lead to every document
 * that has had a key in one of its versions, and who looks must compare.
 */
export class Collection {
  readonly namespace: string;
  readonly indexes = new Map<string, IndexSpec>();
  readonly #versions = new Map<string, Version[]>();
  /** By index, then by the first value of its key, then by the whole key: ids of documents. */
  readonly #byFirst = new Map<string, Map<string, Set<string>>>();
  readonly #byKey = new Map<string, Map<string, Set<string>>>();

  constructor(namespace: string) {
    this.namespace = namespace;
  }

  /** The document as of commit `at`. */
  read(id: string, at: number): Document | undefined {
    return this.#versions.get(id)?.findLast((version) => version.at <= at)?.document;
  }

  /** The commit that last changed the document; 0 for one that never was. */
  changedAt(id: string): number {
    return this.#versions.get(id)?.at(-1)?.at ?? 0;
  }

  /** Ids of all documents, or of those that can fit a filter. */
  candidates(filter: Document): Iterable<string> {
    const { _id: id } = filter;
    if (isValue(id)) return [idKeyOf(id)];
    for (const index of this.indexes.values()) {
      const isWhole = index.unique && Object.keys(index.key).every((path) => isValue(valueAt(filter, path)));
      if (isWhole) return [...this.holders(index, keyOf(index, filter))];
    }
    for (const { name, key } of this.indexes.values()) {
      const first = valueAt(filter, firstOf(key));
      if (isValue(first)) return [...(this.#byFirst.get(name)?.get(idKeyOf(first)) ?? [])];
    }
    return [...this.#versions.keys()];
  }

  /** Ids of documents that may have this key in a unique index. */
  holders(index: IndexSpec, key: string): Iterable<string> {
    return this.#byKey.get(index.name)?.get(key) ?? [];
  }

  apply(id: string, document: Document | undefined, at: number): void {
    const versions = this.#versions.get(id);
    if (versions) versions.push({ at, document });
    else this.#versions.set(id, [{ at, document }]);
    if (document) for (const index of this.indexes.values()) this.#enter(index, id, document);
  }

  /** Nobody looks at older versions any more. */
  forget(id: string): void {
    const versions = this.#versions.get(id) ?? [];
    const newest = versions.at(-1)?.document;
    for (const { document } of versions) {
      if (document && document !== newest)
        for (const index of this.indexes.values()) this.#leave(index, id, document);
    }
    if (newest === undefined) return void this.#versions.delete(id);
    this.#versions.set(id, versions.slice(-1));
    // What an older version shared with it.
    for (const index of this.indexes.values()) this.#enter(index, id, newest);
  }

  /** @throws MongoServerFault DuplicateKey when the documents do not allow it */
  addIndex(index: IndexSpec, at: number): void {
    const seen = new Set<string>();
    const all = [...this.#versions.keys()].map((id) => [id, this.read(id, at)] as const);
    for (const [, document] of all) {
      if (!index.unique || !document) continue;
      const key = keyOf(index, document);
      if (seen.has(key)) throw duplicateKey(this.namespace, index, document);
      seen.add(key);
    }
    this.indexes.set(index.name, index);
    for (const [id, document] of all) if (document) this.#enter(index, id, document);
  }

  dropIndex(name: string): void {
    this.indexes.delete(name);
    this.#byFirst.delete(name);
    this.#byKey.delete(name);
  }

  #enter(index: IndexSpec, id: string, document: Document): void {
    const first = idKeyOf(valueAt(document, firstOf(index.key)));
    setIn(this.#byFirst, index.name, first).add(id);
    if (index.unique) setIn(this.#byKey, index.name, keyOf(index, document)).add(id);
  }

  #leave(index: IndexSpec, id: string, document: Document): void {
    const first = idKeyOf(valueAt(document, firstOf(index.key)));
    removeFrom(this.#byFirst.get(index.name), first, id);
    removeFrom(this.#byKey.get(index.name), keyOf(index, document), id);
  }
}

export const keyOf = ({ key }: IndexSpec, document: Document): string =>
  idKeyOf(Object.keys(key).map((path) => valueAt(document, path)));

export function duplicateKey(namespace: string, index: IndexSpec, document: Document): MongoServerFault {
  const keyValue = Object.fromEntries(Object.keys(index.key).map((path) => [path, valueAt(document, path)]));
  const shown = BSON.EJSON.stringify(keyValue);
  return new MongoServerFault(
    11000,
    `E11000 duplicate key error collection: ${namespace} index: ${index.name} dup key: ${shown}`,
    { details: { keyPattern: index.key, keyValue } },
  );
}

const firstOf = (key: Document): string => Object.keys(key)[0] ?? "";

/** A value to be equal to, and neither an operator nor what equals several things. */
const isValue = (value: unknown): boolean =>
  typeof value === "string" || typeof value === "number" || value instanceof BSON.ObjectId;

function setIn(maps: Map<string, Map<string, Set<string>>>, name: string, key: string): Set<string> {
  const map = maps.get(name) ?? new Map<string, Set<string>>();
  maps.set(name, map);
  const ids = map.get(key) ?? new Set<string>();
  map.set(key, ids);
  return ids;
}

function removeFrom(map: Map<string, Set<string>> | undefined, key: string, id: string): void {
  const ids = map?.get(key);
  ids?.delete(id);
  if (ids?.size === 0) map?.delete(key);
}
