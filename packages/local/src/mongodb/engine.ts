import { BSON, type Document } from "mongodb";
import { Collection, duplicateKey, type IndexSpec, idKeyOf, keyOf } from "./collection.ts";
import { MongoServerFault, writeConflict } from "./errors.ts";
import { openLevel, type Storage } from "./persistence.ts";

const MAX_DOCUMENT_BYTES = 16 * 1024 * 1024;

/** Somebody's open transaction is in the way; who has none of his own waits for its end. */
export class BlockedError extends Error {
  readonly ended: Promise<void>;

  constructor(ended: Promise<void>) {
    super("an open transaction has written there");
    this.ended = ended;
  }
}

/**
 * All databases: what is committed, and who has a transaction open. Every command is a transaction; one that is not part of a
 * client's runs in one turn of the event loop, so only clients' transactions are ever open to others.
 */
export class Engine {
  readonly #storage: Storage | undefined;
  readonly #collections = new Map<string, Collection>();
  readonly #open = new Set<Transaction>();
  /** Documents with versions that some open transaction may look at. */
  readonly #dated = new Map<Collection, Set<string>>();
  #commits = 0;
  #written: Promise<unknown> = Promise.resolve();

  private constructor(storage: Storage | undefined) {
    this.#storage = storage;
  }

  /** In memory without a `path`. Rejects with `LEVEL_LOCKED` somewhere in its causes when another process has it. */
  static async open(path: string | undefined): Promise<Engine> {
    if (path === undefined) return new Engine(undefined);
    const storage = await openLevel(path);
    const engine = new Engine(storage);
    engine.#commits = 1;
    for await (const { namespace, index, document } of storage.all()) {
      const collection = engine.collection(namespace);
      if (index) collection.addIndex(index, 1);
      if (document) collection.apply(idKeyOf(document["_id"]), document, 1);
    }
    return engine;
  }

  begin(): Transaction {
    const transaction = new Transaction(this, this.#commits, this.#open);
    this.#open.add(transaction);
    return transaction;
  }

  /** Makes the writes of a transaction visible to all at once, and durable before it resolves. */
  async commit(transaction: Transaction): Promise<void> {
    if (transaction.writes.size === 0) return this.end(transaction);
    const at = ++this.#commits;
    const batch: { namespace: string; id: string; document: Document | undefined }[] = [];
    for (const [collection, writes] of transaction.writes) {
      for (const [id, document] of writes) {
        collection.apply(id, document, at);
        const dated = this.#dated.get(collection) ?? new Set();
        this.#dated.set(collection, dated.add(id));
        batch.push({ namespace: collection.namespace, id, document });
      }
    }
    this.end(transaction);
    await this.#store(() => this.#storage?.write(batch));
  }

  end(transaction: Transaction): void {
    this.#open.delete(transaction);
    transaction.end();
    if (this.#open.size > 0) return;
    for (const [collection, ids] of this.#dated) for (const id of ids) collection.forget(id);
    this.#dated.clear();
  }

  existing(namespace: string): Collection | undefined {
    return this.#collections.get(namespace);
  }

  collection(namespace: string): Collection {
    const known = this.#collections.get(namespace);
    if (known) return known;
    const collection = new Collection(namespace);
    this.#collections.set(namespace, collection);
    return collection;
  }

  all(): Collection[] {
    return [...this.#collections.values()];
  }

  async addIndex(collection: Collection, index: IndexSpec): Promise<void> {
    collection.addIndex(index, this.#commits);
    await this.#store(() => this.#storage?.writeIndex(collection.namespace, index));
  }

  async dropIndex(collection: Collection, name: string): Promise<void> {
    collection.dropIndex(name);
    await this.#store(() => this.#storage?.dropIndex(collection.namespace, name));
  }

  async drop(namespace: string): Promise<boolean> {
    const there = this.#collections.delete(namespace);
    await this.#store(() => this.#storage?.drop(namespace));
    return there;
  }

  async close(): Promise<void> {
    await this.#store(() => this.#storage?.close());
  }

  /** In order: a batch must not overtake another. */
  #store(write: () => Promise<void> | undefined): Promise<void> {
    const written = this.#written.then(write);
    this.#written = written.catch(() => {});
    return written;
  }
}

/**
 * A snapshot of what was committed at its beginning, with its own writes over it. The first to write a document has it:
 * who comes second, or has not seen what was committed meanwhile, has lost (WriteConflict).
 */
export class Transaction {
  readonly writes = new Map<Collection, Map<string, Document | undefined>>();
  readonly ended: Promise<void>;
  readonly #engine: Engine;
  readonly #snapshot: number;
  readonly #others: ReadonlySet<Transaction>;
  #resolve: () => void = () => {};

  constructor(engine: Engine, snapshot: number, others: ReadonlySet<Transaction>) {
    this.#engine = engine;
    this.#snapshot = snapshot;
    this.#others = others;
    this.ended = new Promise((resolve) => {
      this.#resolve = resolve;
    });
  }

  end(): void {
    this.#resolve();
  }

  collection(namespace: string): Collection {
    return this.#engine.collection(namespace);
  }

  read(collection: Collection, id: string): Document | undefined {
    const own = this.writes.get(collection);
    return own?.has(id) ? own.get(id) : collection.read(id, this.#snapshot);
  }

  /** Documents that can fit a filter, in no particular order; `natural` for who names none. */
  scan(collection: Collection, filter: Document): Document[] {
    const ids = new Set(collection.candidates(filter));
    for (const id of this.writes.get(collection)?.keys() ?? []) ids.add(id);
    return [...ids].map((id) => this.read(collection, id)).filter((document) => document !== undefined);
  }

  /**
   * @throws MongoServerFault DuplicateKey or BSONObjectTooLarge, or WriteConflict when a rival has committed
   * @throws BlockedError when a rival may yet commit
   */
  write(collection: Collection, id: string, document: Document | undefined): void {
    if (collection.changedAt(id) > this.#snapshot) throw writeConflict();
    this.#yieldTo((other) => other.writes.get(collection)?.has(id) === true);
    if (document) {
      const size = BSON.calculateObjectSize(document);
      if (size > MAX_DOCUMENT_BYTES)
        throw new MongoServerFault(
          10334,
          `BSONObj size: ${size} is invalid. Size must be between 0 and 16793600`,
        );
      for (const index of collection.indexes.values())
        if (index.unique) this.#checkUnique(collection, index, id, document);
    }
    const own = this.writes.get(collection) ?? new Map<string, Document | undefined>();
    this.writes.set(collection, own.set(id, document));
  }

  #checkUnique(collection: Collection, index: IndexSpec, id: string, document: Document): void {
    const key = keyOf(index, document);
    const isSame = (other: Document | undefined) => other !== undefined && keyOf(index, other) === key;
    for (const holder of new Set([
      ...collection.holders(index, key),
      ...(this.writes.get(collection)?.keys() ?? []),
    ])) {
      if (holder === id) continue;
      if (isSame(this.read(collection, holder))) throw duplicateKey(collection.namespace, index, document);
      if (
        isSame(collection.read(holder, Number.POSITIVE_INFINITY)) &&
        collection.changedAt(holder) > this.#snapshot
      )
        throw writeConflict();
    }
    this.#yieldTo((other) => [...(other.writes.get(collection)?.values() ?? [])].some(isSame));
  }

  #yieldTo(isInTheWay: (other: Transaction) => boolean): void {
    for (const other of this.#others) {
      if (other !== this && isInTheWay(other)) throw new BlockedError(other.ended);
    }
  }
}
