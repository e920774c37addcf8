/**
 * - `throttle`: too much is asked for, and the server says so
 * - `error`: the server fails by itself
 * - `conflict`: a rival's transaction wins
 * - `hang`: no reply, ever
 * - `drop-before`: the connection breaks, nothing was done
 * - `drop-after`: it was done, and the connection breaks before the reply
 */
export type FaultKind = "throttle" | "error" | "conflict" | "hang" | "drop-before" | "drop-after";

export interface Fault {
  /** The server's own name of one, as in "PutItem" or "insert"; every operation when absent. */
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
  /**
   * What the request that has just arrived is to suffer; of two faults that fit, the one injected first. A `conflict` passes
   * over a request that meets no rivals.
   */
  next(operation: string, meetsRivals?: boolean): FaultKind | undefined;
}

/** When a server's requests fail. What a fault looks like, the server says. */
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
    next(operation, meetsRivals = true) {
      for (const fault of pending) {
        if (fault.operation !== undefined && fault.operation !== operation) continue;
        if (fault.kind === "conflict" && !meetsRivals) continue;
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
