import { BSON, type Document } from "mongodb";
import { type Collection, idKeyOf } from "./collection.ts";
import type { Commands, Context } from "./commands.ts";
import { BlockedError } from "./engine.ts";
import { MongoServerFault, toFault } from "./errors.ts";
import { type Change, isSame, select, updated, upserted } from "./query.ts";

/** `true` in what `one` returns ends nothing; a fault of one write is told with its number, and ends an ordered command. */
function each<T>(list: readonly T[], ordered: boolean, one: (item: T, index: number) => void): Document {
  const writeErrors: Document[] = [];
  for (const [index, item] of list.entries()) {
    try {
      one(item, index);
    } catch (error) {
      const fault = error instanceof BlockedError ? undefined : toFault(error);
      // Of a conflict the whole command is told.
      if (!fault || fault.code === 112) throw error;
      writeErrors.push(fault.writeError(index));
      if (ordered) break;
    }
  }
  return writeErrors.length > 0 ? { writeErrors } : {};
}

function insert({ transaction }: Context, collection: Collection, document: Document): unknown {
  const { _id = new BSON.ObjectId(), ...rest } = document;
  const id = idKeyOf(_id);
  if (transaction.read(collection, id)) throw duplicateId(collection, _id);
  transaction.write(collection, id, { _id, ...rest });
  return _id;
}

const duplicateId = ({ namespace }: Collection, id: unknown) =>
  new MongoServerFault(
    11000,
    `E11000 duplicate key error collection: ${namespace} index: _id_ dup key: ${BSON.EJSON.stringify({ _id: id })}`,
    { details: { keyPattern: { _id: 1 }, keyValue: { _id: id } } },
  );

type Update = Change & { filter: Document; sort?: Document; multi: boolean; upsert: boolean };
type Updated = {
  matched: number;
  modified: number;
  upserted?: Document;
  before?: Document;
  after?: Document;
};

function update(context: Context, collection: Collection, request: Update): Updated {
  const { transaction } = context;
  const { filter, sort, multi } = request;
  const found = select(transaction.scan(collection, filter), { filter, sort, limit: multi ? 0 : 1 });
  if (found.length === 0) {
    if (!request.upsert) return { matched: 0, modified: 0 };
    const document = upserted(filter, request);
    insert(context, collection, document);
    return { matched: 0, modified: 0, upserted: document, after: document };
  }
  const result: Updated = { matched: found.length, modified: 0 };
  for (const before of found) {
    const after = updated(before, filter, request);
    Object.assign(result, { before, after });
    if (isSame(before, after)) continue;
    transaction.write(collection, idKeyOf(before["_id"]), after);
    result.modified += 1;
  }
  return result;
}

function remove(
  { transaction }: Context,
  collection: Collection,
  filter: Document,
  limit: number,
  sort?: Document,
) {
  const found = select(transaction.scan(collection, filter), { filter, sort, limit });
  for (const { _id } of found) transaction.write(collection, idKeyOf(_id), undefined);
  return found;
}

export const writeCommands: Commands = {
  insert(context, { insert: name, documents, ordered = true }) {
    const collection = context.collection(name);
    let n = 0;
    const errors = each(documents as Document[], ordered, (document) => {
      insert(context, collection, document);
      n += 1;
    });
    return { n, ...errors, ok: 1 };
  },

  update(context, { update: name, updates, ordered = true }) {
    const collection = context.collection(name);
    const total = { n: 0, nModified: 0 };
    const upserts: Document[] = [];
    const errors = each(
      updates as Document[],
      ordered,
      ({ q, u, multi = false, upsert = false, ...rest }, index) => {
        refuse(rest, "collation");
        const done = update(context, collection, { filter: q, update: u, multi, upsert, ...rest });
        total.n += done.matched + (done.upserted ? 1 : 0);
        total.nModified += done.modified;
        if (done.upserted) upserts.push({ index, _id: done.upserted["_id"] });
      },
    );
    return { ...total, ...(upserts.length > 0 && { upserted: upserts }), ...errors, ok: 1 };
  },

  delete(context, { delete: name, deletes, ordered = true }) {
    const collection = context.collection(name);
    let n = 0;
    const errors = each(deletes as Document[], ordered, ({ q, limit, ...rest }) => {
      refuse(rest, "collation");
      n += remove(context, collection, q, limit).length;
    });
    return { n, ...errors, ok: 1 };
  },

  findAndModify(context, { findAndModify: name, query = {}, fields, sort, ...rest }) {
    refuse(rest, "collation");
    const collection = context.collection(name);
    const show = (document: Document | undefined) =>
      document === undefined ? null : (select([document], { filter: {}, projection: fields })[0] ?? null);
    if (rest["remove"] === true) {
      const [removed] = remove(context, collection, query, 1, sort);
      return { lastErrorObject: { n: removed ? 1 : 0 }, value: show(removed), ok: 1 };
    }
    const { update: change, arrayFilters, new: wantsNew = false, upsert = false } = rest;
    const done = update(context, collection, {
      filter: query,
      sort,
      update: change,
      arrayFilters,
      multi: false,
      upsert,
    });
    const n = done.matched + (done.upserted ? 1 : 0);
    return {
      lastErrorObject: {
        n,
        updatedExisting: done.matched > 0,
        ...(done.upserted && { upserted: done.upserted["_id"] }),
      },
      value: show(wantsNew ? done.after : done.before),
      ok: 1,
    };
  },
};

/** What would change the meaning, and is not emulated. */
function refuse(options: Document, name: string): void {
  if (options[name] !== undefined) throw new MongoServerFault(2, `${name} is not emulated here`);
}
