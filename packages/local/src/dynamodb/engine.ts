import { Readable } from "node:stream";
import type { Fields } from "../aws-json.ts";
import { dynalite, type Item, operations, type Store, type Table, type Write } from "./dynalite.ts";
import { DynamoError, toDynamoError, validationError } from "./errors.ts";
import { checkKey } from "./item-limits.ts";
import { type Staged, stage } from "./stage.ts";

export interface Engine {
  /** Checks a request without looking at the data. Throws DynamoError. */
  validate(operation: string, input: Fields): Fields;
  /** Runs a validated operation on items, and keeps what it would write. */
  stage(operation: string, input: Fields): Promise<Staged>;
  /** All or nothing, for readers and for a process that is killed. */
  commit(writes: Write[]): Promise<void>;
  /** One at a time, in order of arrival. Whoever stages writes must also commit them in here. */
  exclusive<T>(work: () => Promise<T>): Promise<T>;
  /** One operation from validation to commit. Throws DynamoError. */
  execute(operation: string, input: Fields): Promise<Fields>;
  /** Throws ResourceNotFoundException. */
  table(name: string): Promise<Table>;
  /** What is kept beside the tables. */
  settings: { get(key: string): Promise<unknown>; put(key: string, value: Fields): Promise<void> };
  close(): Promise<void>;
}

const ITEM_WRITES = new Set(["BatchWriteItem", "DeleteItem", "PutItem", "UpdateItem"]);

/**
 * dynalite's operations over one store, in memory when there is no `path`.
 * Every write of items is one atomic batch, index entries included, made under one lock. Reads take no lock: each
 * sees a snapshot. Throws one line when another process has the store open.
 */
export async function openEngine({ path }: { path?: string | undefined } = {}): Promise<Engine> {
  const store = await openStore(path);
  const exclusive = createLock();

  async function write(operation: string, request: Fields): Promise<Fields> {
    const { output, error, writes } = await stage(store, operation, request);
    if (error) throw error;
    await store.db.batch(writes);
    return output;
  }

  return {
    validate: (operation, input) => validate(store, operation, input),
    stage: (operation, input) => stage(store, operation, input),
    commit: (writes) => store.db.batch(writes),
    exclusive,
    async execute(operation, input) {
      const request = validate(store, operation, input);
      return ITEM_WRITES.has(operation)
        ? exclusive(() => write(operation, request))
        : act(store, operation, request);
    },
    table: (name) =>
      new Promise((resolve, reject) => {
        store.getTable(name, (error, table) => (table ? resolve(table) : reject(toDynamoError(error))));
      }),
    settings: {
      get: (key) => store.db.get(`setting~${key}`),
      put: (key, value) => store.db.put(`setting~${key}`, value),
    },
    close: () => exclusive(() => store.db.close()),
  };
}

async function openStore(path: string | undefined): Promise<Store> {
  const timing = { createTableMs: 0, deleteTableMs: 0, updateTableMs: 0 };
  const store = dynalite.create({ ...(path && { path }), ...timing });
  try {
    await store.db.open();
  } catch (error) {
    const { cause } = error as { cause?: { code?: string; message?: string } };
    const line =
      cause?.code === "LEVEL_LOCKED"
        ? `another Parley is already running on ${path}: stop it first, or give this one another folder`
        : `cannot open the database in ${path}: ${cause?.message ?? String(error)}`;
    throw new Error(line, { cause: error });
  }
  // dynalite's own streams never close their iterators, and each open one pins a snapshot.
  store.db.createValueStream = (range) => Readable.from(store.db.values(range));
  await settleTables(store);
  return store;
}

/** dynalite moves a table on by a timer; a process killed before it fires leaves CREATING on disk, for good. */
async function settleTables({ db }: Store): Promise<void> {
  for await (const [key, value] of db.iterator({ gte: "table~", lt: "table~\uffff" })) {
    const table = value as Table;
    if (table.TableStatus === "ACTIVE") continue;
    const indexes = table.GlobalSecondaryIndexes?.map((index) => ({ ...index, IndexStatus: "ACTIVE" }));
    await db.put(key, {
      ...table,
      TableStatus: "ACTIVE",
      ...(indexes && { GlobalSecondaryIndexes: indexes }),
    });
  }
}

function createLock(): Engine["exclusive"] {
  let last: Promise<unknown> = Promise.resolve();
  return (work) => {
    const mine = last.then(work);
    last = mine.catch(() => undefined);
    return mine;
  };
}

function validate(store: Store, operation: string, input: Fields): Fields {
  const known = operations.get(operation);
  if (!known) throw new DynamoError("UnknownOperationException", `Unknown operation: ${operation}`);
  const onFailure = input["ReturnValuesOnConditionCheckFailure"] ?? "NONE";
  if (onFailure !== "NONE" && onFailure !== "ALL_OLD") {
    throw validationError(
      `1 validation error detected: Value '${onFailure}' at 'returnValuesOnConditionCheckFailure' failed to satisfy constraint: Member must satisfy enum value set: [ALL_OLD, NONE]`,
    );
  }
  const { types, custom } = known.validation;
  try {
    // dynalite drops the fields that it does not know.
    const request = dynalite.checkTypes(input, types);
    dynalite.checkValidations(request, types, custom, store);
    checkKey((request["Key"] ?? {}) as Item);
    return { ...request, ReturnValuesOnConditionCheckFailure: onFailure };
  } catch (error) {
    throw toDynamoError(error);
  }
}

/** Everything that does not write items goes to dynalite as it is. */
async function act(store: Store, operation: string, request: Fields): Promise<Fields> {
  try {
    return await new Promise<Fields>((resolve, reject) => {
      operations
        .get(operation)
        ?.act(store, request, (error, reply) => (error ? reject(error) : resolve(reply ?? {})));
    });
  } catch (error) {
    throw toDynamoError(error);
  }
}
