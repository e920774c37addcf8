import type { Document } from "mongodb";
import { MongoServerFault, writeConflict } from "./errors.ts";

/**
 * - `throttle`: the server is overloaded and says so
 * - `error`: the primary steps down, and does not know the command
 * - `conflict`: a rival's transaction wins; hits only commands of a transaction
 * - `hang`: no reply, ever
 * - `drop-before`: the connection breaks, nothing was done
 * - `drop-after`: it was done, and the connection breaks before the reply
 */
export type FaultKind = "throttle" | "error" | "conflict" | "hang" | "drop-before" | "drop-after";

export interface Fault {
  /** As in "insert"; every one when absent, but what the driver asks to watch the server. */
  operation?: string;
  kind: FaultKind;
  /** Requests to let through first; 0 when absent. */
  after?: number;
  /** Requests to hit; 1 when absent, Infinity until it is lifted. */
  times?: number;
}

export interface Faults {
  /** Returns what lifts the fault. */
  inject(fault: Fault): () => void;
  /** What the request that has just arrived is to suffer. Of two faults that fit, the one injected first. */
  next(operation: string, body: Document): FaultKind | undefined;
}

export function createFaults(): Faults {
  const pending = new Set<{ operation: string | undefined; kind: FaultKind; after: number; times: number }>();
  return {
    inject({ operation, kind, after = 0, times = 1 }) {
      const fault = { operation, kind, after, times };
      pending.add(fault);
      return () => {
        pending.delete(fault);
      };
    },
    next(operation, body) {
      for (const fault of pending) {
        if (fault.operation !== undefined && fault.operation !== operation) continue;
        if (fault.kind === "conflict" && !canConflict(operation, body)) continue;
        if (fault.after > 0) {
          fault.after -= 1;
          continue;
        }
        fault.times -= 1;
        if (fault.times <= 0) pending.delete(fault);
        return fault.kind;
      }
      return undefined;
    },
  };
}

/** A write of a transaction: others wait for their rivals in the server, unseen. */
const canConflict = (operation: string, body: Document) =>
  body["autocommit"] === false && operation !== "commitTransaction" && operation !== "abortTransaction";

/** The error that a fault is answered with; none for those that break the connection. */
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
