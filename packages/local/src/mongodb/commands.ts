import type { Document } from "mongodb";
import { adminCommands } from "./admin-commands.ts";
import type { Collection } from "./collection.ts";
import type { Cursors } from "./cursors.ts";
import type { Engine, Transaction } from "./engine.ts";
import { readCommands } from "./read-commands.ts";
import { writeCommands } from "./write-commands.ts";

/** What a command works on. */
export type Context = {
  engine: Engine;
  cursors: Cursors;
  transaction: Transaction;
  database: string;
  /** The collection of that name in the database, made when missing. */
  collection(name: string): Collection;
};

export type Command = (context: Context, body: Document) => Document;
export type Commands = Readonly<Record<string, Command>>;
/** What changes collections and indexes, outside transactions. */
export type AdminCommand = (
  engine: Engine,
  database: string,
  body: Document,
  cursors: Cursors,
) => Promise<Document>;

/** What a transaction may do. */
export const commands: Commands = { ...readCommands, ...writeCommands };
export const admin: Readonly<Record<string, AdminCommand>> = adminCommands;
