import type { Document } from "mongodb";
import { valueAt } from "./collection.ts";
import type { Commands, Context } from "./commands.ts";
import { aggregate, select } from "./query.ts";

/** Of a collection that does not exist nothing is found. */
function scan({ engine, transaction }: Context, namespace: string, filter: Document = {}): Document[] {
  const collection = engine.existing(namespace);
  return collection ? transaction.scan(collection, filter) : [];
}

function matching(context: Context, name: string, filter: Document = {}): Document[] {
  return select(scan(context, `${context.database}.${name}`, filter), { filter });
}

export const readCommands: Commands = {
  find(context, { find: name, filter = {}, sort, skip, limit, projection, batchSize, singleBatch = false }) {
    const namespace = `${context.database}.${name}`;
    const found = select(scan(context, namespace, filter), {
      filter,
      sort,
      skip,
      limit: Math.abs(limit ?? 0),
      projection,
    });
    return context.cursors.open(namespace, found, { batchSize, singleBatch });
  },

  aggregate(context, { aggregate: name, pipeline, cursor = {} }) {
    const namespace = `${context.database}.${name}`;
    const resolve = (other: string) => scan(context, `${context.database}.${other}`);
    const [first] = pipeline as Document[];
    const found = aggregate(scan(context, namespace, first?.["$match"]), pipeline, resolve);
    return context.cursors.open(namespace, found, { batchSize: cursor["batchSize"] });
  },

  count: (context, { count: name, query, limit = 0, skip = 0 }) => {
    const left = Math.max(0, matching(context, name, query).length - skip);
    return { n: limit ? Math.min(left, Math.abs(limit)) : left, ok: 1 };
  },

  distinct(context, { distinct: name, key, query }) {
    const values = matching(context, name, query).flatMap((document) => {
      const value = valueAt(document, key);
      return value === null ? [] : [value].flat();
    });
    return { values: [...new Set(values)], ok: 1 };
  },

  getMore: ({ cursors }, { getMore: id, batchSize }) => cursors.next(Number(id), batchSize),
  killCursors: ({ cursors }, { cursors: ids }) => cursors.kill((ids as unknown[]).map(Number)),
};
