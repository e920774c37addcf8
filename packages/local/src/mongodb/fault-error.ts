import type { Document } from "mongodb";
import type { FaultKind } from "../faults.ts";
import { MongoServerFault, writeConflict } from "./errors.ts";

/** A write of a transaction: others wait for their rivals in the server, unseen. */
export const meetsRivals = (operation: string, body: Document) =>
  body["autocommit"] === false && operation !== "commitTransaction" && operation !== "abortTransaction";

/** What a fault is answered with, none if it breaks the connection. */
export function faultError(kind: FaultKind | undefined, body: Document): MongoServerFault | undefined {
  const transient = body["autocommit"] === false ? ["TransientTransactionError"] : [];
  switch (kind) {
    case "throttle":
      return new MongoServerFault(462, "The server is overloaded", {
        labels: ["SystemOverloadedError", "RetryableError", ...transient],
      });
    case "error":
      return new MongoServerFault(189, "The primary is stepping down", {
        labels: ["RetryableWriteError", ...transient],
      });
    case "conflict":
      return writeConflict();
    default:
      return undefined;
  }
}
