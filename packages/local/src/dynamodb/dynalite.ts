import { createRequire } from "node:module";
import type { Fields } from "../aws-json.ts";

/** `{ S: "text" }`, `{ N: "1" }`, ... */
export type AttributeValue = Record<string, unknown>;
export type Item = Record<string, AttributeValue>;

export type Done<T = unknown> = (error: unknown, value?: T) => void;

interface KeySchema {
  KeySchema: { AttributeName: string }[];
}

export interface Table extends KeySchema {
  TableName: string;
  TableId: string;
  TableStatus: string;
  GlobalSecondaryIndexes?: (KeySchema & { IndexName: string; IndexStatus?: string })[];
}

export type Write = { type: "put"; key: string; value: unknown } | { type: "del"; key: string };

interface Level {
  open(): Promise<void>;
  close(): Promise<void>;
  get(key: string): Promise<unknown>;
  put(key: string, value: unknown): Promise<void>;
  batch(writes: Write[]): Promise<void>;
  iterator(range: object): AsyncIterable<[string, unknown]>;
  values(range: object): AsyncIterable<unknown>;
  createValueStream(range: object): unknown;
}

/** What a part of the key space (the items of a table, the entries of an index) can do. */
export interface Space {
  put(key: string, value: unknown, done: Done): void;
  del(key: string, done: Done): void;
  get(key: string, done: Done): void;
  lock(key: string, run: (release: <D>(done: D) => D) => void): void;
}

export interface Store {
  db: Level;
  getTable(name: string, done: Done<Table>): void;
  getItemDb(table: string): Space;
  getIndexDb(kind: string, table: string, index: string): Pick<Space, "put" | "del">;
}

interface Validation {
  types: Record<string, object>;
  custom?: (data: Fields, store: Store) => string | undefined;
}

interface Dynalite {
  create(options: {
    path?: string;
    createTableMs: number;
    deleteTableMs: number;
    updateTableMs: number;
  }): Store;
  itemSize(item: Item): number;
  checkTypes(data: Fields, types: Validation["types"]): Fields;
  checkValidations(
    data: Fields,
    types: Validation["types"],
    custom: Validation["custom"],
    store: Store,
  ): void;
}

/** Either throws or calls back `{ statusCode, body: { __type, message } }` for a refusal. */
export interface DynaliteOperation {
  validation: Validation;
  act(store: Store, data: Fields, done: Done<Fields>): void;
}

/**
 * dynalite's insides, which it exports by path alone: its storage, and validation and action of each operation.
 * Its HTTP server is not used: it throws, and so ends the process, when a client goes away in mid-request.
 */
const load = createRequire(import.meta.url);

export const dynalite: Dynalite = { ...load("dynalite/db"), ...load("dynalite/validations") };

const OPERATIONS = [
  "BatchGetItem",
  "BatchWriteItem",
  "CreateTable",
  "DeleteItem",
  "DeleteTable",
  "DescribeTable",
  "GetItem",
  "ListTables",
  "ListTagsOfResource",
  "PutItem",
  "Query",
  "Scan",
  "TagResource",
  "UntagResource",
  "UpdateItem",
  "UpdateTable",
];

export const operations: ReadonlyMap<string, DynaliteOperation> = new Map(
  OPERATIONS.map((name) => {
    const file = name.charAt(0).toLowerCase() + name.slice(1);
    return [
      name,
      { validation: load(`dynalite/validations/${file}`), act: load(`dynalite/actions/${file}`) },
    ];
  }),
);
