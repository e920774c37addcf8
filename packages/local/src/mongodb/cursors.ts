import { BSON, type Document } from "mongodb";
import { MongoServerFault } from "./errors.ts";

const FIRST_BATCH = 101;
const MAX_BATCH_BYTES = 16 * 1024 * 1024;

/** Results that did not fit into one answer. They are of the moment of the query, whatever has changed since. */
export class Cursors {
  readonly #waiting = new Map<number, { namespace: string; documents: Document[] }>();
  #last = 0;

  open(
    namespace: string,
    documents: Document[],
    {
      batchSize = FIRST_BATCH,
      singleBatch = false,
    }: { batchSize?: number | undefined; singleBatch?: boolean },
  ): Document {
    const { batch, rest } = cut(documents, batchSize);
    let id = 0;
    if (rest.length > 0 && !singleBatch) {
      id = ++this.#last;
      this.#waiting.set(id, { namespace, documents: rest });
    }
    return { cursor: { firstBatch: batch, id: BSON.Long.fromNumber(id), ns: namespace }, ok: 1 };
  }

  next(id: number, batchSize: number | undefined): Document {
    const waiting = this.#waiting.get(id);
    if (!waiting) throw new MongoServerFault(43, `cursor id ${id} not found`);
    const { batch, rest } = cut(waiting.documents, batchSize || Number.POSITIVE_INFINITY);
    waiting.documents = rest;
    if (rest.length === 0) this.#waiting.delete(id);
    const left = BSON.Long.fromNumber(rest.length === 0 ? 0 : id);
    return { cursor: { nextBatch: batch, id: left, ns: waiting.namespace }, ok: 1 };
  }

  kill(ids: readonly number[]): Document {
    const cursorsKilled = ids.filter((id) => this.#waiting.delete(id));
    const cursorsNotFound = ids.filter((id) => !cursorsKilled.includes(id));
    const longs = (list: readonly number[]) => list.map((id) => BSON.Long.fromNumber(id));
    return {
      cursorsKilled: longs(cursorsKilled),
      cursorsNotFound: longs(cursorsNotFound),
      cursorsAlive: [],
      cursorsUnknown: [],
      ok: 1,
    };
  }
}

/** As many as were asked for, and no more bytes than an answer may have; one at the least. */
function cut(documents: Document[], batchSize: number): { batch: Document[]; rest: Document[] } {
  let count = 0;
  for (let bytes = 0; count < Math.min(batchSize, documents.length); count++) {
    bytes += BSON.calculateObjectSize(documents[count] as Document);
    if (bytes > MAX_BATCH_BYTES && count > 0) break;
  }
  return { batch: documents.slice(0, count), rest: documents.slice(count) };
}
