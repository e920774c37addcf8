import type { Fields } from "../aws-json.ts";
import {
  type Done,
  type Item,
  operations,
  type Space,
  type Store,
  type Table,
  type Write,
} from "./dynalite.ts";
import { type DynamoError, toDynamoError } from "./errors.ts";
import { checkItem } from "./item-limits.ts";

/** What an operation on items would answer and write. Nothing is written until the writes are committed. */
export interface Staged {
  output: Fields;
  /** The refusal, if it was one; `writes` is empty then. */
  error?: DynamoError;
  /** Table and key of each item that the operation looks at. */
  keys: string[];
  writes: Write[];
}

/** Runs a validated operation on items against the data as it is. */
export async function stage(store: Store, operation: string, input: Fields): Promise<Staged> {
  const recording: Recording = { keys: [], writes: [] };
  const { keys, writes } = recording;
  try {
    const output = await new Promise<Fields>((resolve, reject) => {
      const done: Done<Fields> = (error, reply) => (error ? reject(error) : resolve(reply ?? {}));
      const verb = operation === "UpdateItem" ? "update" : "put";
      operations.get(operation)?.act(recordingView({ store, recording, verb, fail: reject }), input, done);
    });
    return { output, keys, writes };
  } catch (cause) {
    const error = toDynamoError(cause);
    const wanted = input["ReturnValuesOnConditionCheckFailure"] === "ALL_OLD" && recording.found;
    if (error.code === "ConditionalCheckFailedException" && wanted) error.details["Item"] = recording.found;
    return { output: {}, error, keys, writes: [] };
  }
}

interface Recording {
  keys: string[];
  writes: Write[];
  /** The item last read, absent when there was none. */
  found?: Item | undefined;
}

interface ViewOptions {
  store: Store;
  recording: Recording;
  verb: "put" | "update";
  /** Takes what a callback of dynalite's throws: uncaught, it would end the process. */
  fail(error: unknown): void;
}

/**
 * The store as one operation sees it: it reads what is there, and what it would write is recorded.
 * dynalite's layout is repeated here: `item-{table}~` and `index-{kind}~{table}~{index}~` before each key.
 */
function recordingView({ store, recording, verb, fail }: ViewOptions): Store {
  const tables = new Map<string, Table>();

  const space = (prefix: string): Pick<Space, "put" | "del"> => ({
    put(key, value, done) {
      recording.writes.push({ type: "put", key: `${prefix}~${key}`, value });
      done(null);
    },
    del(key, done) {
      recording.writes.push({ type: "del", key: `${prefix}~${key}` });
      done(null);
    },
  });

  return {
    ...store,
    getTable(name, done) {
      store.getTable(name, (error, table) => {
        if (table) tables.set(name, table);
        try {
          done(error, table);
        } catch (cause) {
          fail(cause);
        }
      });
    },
    getItemDb(name) {
      const { put, del } = space(`item-${name}`);
      return {
        get(key, done) {
          recording.keys.push(`${name}~${key}`);
          const deliver = (item: unknown) => {
            recording.found = item as Item | undefined;
            done(null, item);
          };
          store.db.get(`item-${name}~${key}`).then(deliver).catch(fail);
        },
        put(key, value, done) {
          const table = tables.get(name);
          if (table) checkItem(value as Item, table, verb);
          put(key, value, done);
        },
        del,
        // The caller holds the engine's lock until what is recorded is committed.
        lock: (_key, run) => run((done) => done),
      };
    },
    getIndexDb: (kind, table, index) => space(`index-${kind.toLowerCase()}~${table}~${index}`),
  };
}
