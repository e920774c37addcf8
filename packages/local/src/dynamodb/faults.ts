import type { Fields } from "./dynalite.ts";
import { DynamoError } from "./errors.ts";
import { cancelled } from "./transactions.ts";

/**
 * - `throttle`: ProvisionedThroughputExceededException
 * - `error`: InternalServerError, status 500
 * - `conflict`: a rival transaction wins; the first action of a TransactWriteItems gets the blame
 * - `hang`: no reply, ever
 * - `drop-before`: the connection breaks, nothing was done
 * - `drop-after`: it was done, and the connection breaks before the reply
 */
export type FaultKind = "throttle" | "error" | "conflict" | "hang" | "drop-before" | "drop-after";

export interface Fault {
  /** As in "PutItem"; every operation when absent. */
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
  next(operation: string): FaultKind | undefined;
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
    next(operation) {
      for (const fault of pending) {
        if (fault.operation !== undefined && fault.operation !== operation) continue;
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

/** The error that a fault is answered with; none for those that break the connection. */
export function faultError(kind: FaultKind | undefined, input: Fields): DynamoError | undefined {
  switch (kind) {
    case "throttle":
      return new DynamoError(
        "ProvisionedThroughputExceededException",
        "The level of configured provisioned throughput for the table was exceeded",
      );
    case "error":
      return new DynamoError("InternalServerError", "Internal server error", { status: 500 });
    case "conflict": {
      const Message = "Transaction is ongoing for the item";
      const actions = input["TransactItems"];
      if (!Array.isArray(actions)) return new DynamoError("TransactionConflictException", Message);
      return cancelled(
        actions.map((_action, at) =>
          at === 0 ? { Code: "TransactionConflict", Message } : { Code: "None" },
        ),
      );
    }
    default:
      return undefined;
  }
}
