import { Aggregator, Query } from "mingo";
import { type PipelineStage, updateOne } from "mingo/updater";
import { BSON, type Document } from "mongodb";
import { valueAt } from "./collection.ts";
import { MongoServerFault } from "./errors.ts";

/** Nothing that clients send is run as code. */
const OPTIONS = { scriptEnabled: false };

export type Find = {
  filter: Document;
  sort?: Document | undefined;
  skip?: number | undefined;
  limit?: number | undefined;
  projection?: Document | undefined;
};

/** The documents that fit, sorted, cut and projected. Throws mingo's error for what it does not know. */
export function select(
  documents: readonly Document[],
  { filter, sort, skip, limit, projection }: Find,
): Document[] {
  const cursor = new Query(filter, OPTIONS).find<Document>([...documents], projection ?? {});
  if (sort && Object.keys(sort).length > 0) cursor.sort(sort);
  if (skip) cursor.skip(skip);
  if (limit) cursor.limit(limit);
  return cursor.all();
}

export function aggregate(
  documents: readonly Document[],
  pipeline: Document[],
  resolve: (collection: string) => Document[],
): Document[] {
  for (const stage of pipeline) {
    if (stage["$out"] !== undefined || stage["$merge"] !== undefined)
      throw new MongoServerFault(2, "$out and $merge are not emulated here");
  }
  return new Aggregator(pipeline, { ...OPTIONS, collectionResolver: resolve }).run([...documents]);
}

export type Change = { update: Document | Document[]; arrayFilters?: Document[] | undefined };

/** The document as the update leaves it; the one given stays as it is. `filter` is what a positional `$` refers to. */
export function updated(document: Document, filter: Document, { update, arrayFilters }: Change): Document {
  if (isReplacement(update)) return { ...("_id" in document && { _id: document["_id"] }), ...update };
  const modifier = withoutInitial(update);
  if (!Array.isArray(modifier) && Object.values(modifier).some((fields) => changesId(document, fields)))
    throw new MongoServerFault(
      66,
      "Performing an update on the path '_id' would modify the immutable field '_id'",
    );
  return change(document, filter, modifier, arrayFilters);
}

const changesId = ({ _id }: Document, fields: Document): boolean =>
  Object.hasOwn(fields, "_id") && !isSame({ _id }, { _id: fields["_id"] });

/** What an upsert inserts when nothing fits the filter. */
export function upserted(filter: Document, { update, arrayFilters }: Change): Document {
  const base: Document = {};
  for (const [path, value] of equalities(filter)) setAt(base, path, value);
  const id = "_id" in base && { _id: base["_id"] };
  if (isReplacement(update)) return { _id: new BSON.ObjectId(), ...id, ...update };
  const initial = Array.isArray(update) ? undefined : update["$setOnInsert"];
  const before = initial ? change(base, {}, { $set: initial }, undefined) : base;
  return { _id: new BSON.ObjectId(), ...change(before, {}, withoutInitial(update), arrayFilters) };
}

function withoutInitial(update: Document | Document[]): Document | Document[] {
  if (Array.isArray(update)) return update;
  const { $setOnInsert: _, ...modifier } = update;
  return modifier;
}

export const isSame = (one: Document, other: Document): boolean =>
  Buffer.compare(BSON.serialize(one), BSON.serialize(other)) === 0;

function change(
  document: Document,
  filter: Document,
  update: Document | Document[],
  arrayFilters: Document[] | undefined,
): Document {
  const copies = [BSON.deserialize(BSON.serialize(document))];
  if (Object.keys(update).length > 0)
    updateOne(copies, filter, update as PipelineStage[], arrayFilters ? { arrayFilters } : {}, OPTIONS);
  return copies[0] as Document;
}

/** A whole document in place of the old one: no field of it is an operator. */
function isReplacement(update: Document | Document[]): boolean {
  if (Array.isArray(update)) return false;
  const names = Object.keys(update);
  const operators = names.filter((name) => name.startsWith("$"));
  if (operators.length > 0 && operators.length < names.length)
    throw new MongoServerFault(9, "an update has either operators or fields");
  return operators.length === 0;
}

/** What a filter says that a document equals, which is all of it that an upsert can know. */
function* equalities(filter: Document): Generator<[path: string, value: unknown]> {
  for (const [path, condition] of Object.entries(filter)) {
    if (path === "$and" || (path === "$or" && condition.length === 1)) {
      for (const part of condition as Document[]) yield* equalities(part);
    } else if (!path.startsWith("$")) {
      const names = isPlain(condition) ? Object.keys(condition) : [];
      if (names.includes("$eq")) yield [path, (condition as Document)["$eq"]];
      else if (!names.some((name) => name.startsWith("$"))) yield [path, condition];
    }
  }
}

function setAt(document: Document, path: string, value: unknown): void {
  const names = path.split(".");
  const last = names.pop() ?? "";
  let target = document;
  for (const name of names) target = target[name] = isPlain(valueAt(target, name)) ? target[name] : {};
  Object.defineProperty(target, last, { value, enumerable: true, writable: true, configurable: true });
}

const isPlain = (value: unknown): value is Document =>
  typeof value === "object" && value !== null && Object.getPrototypeOf(value) === Object.prototype;
