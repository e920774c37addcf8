/** What a server has been asked: totals since its start. */
export interface Requests {
  /** Those that arrived, faults included. */
  count: number;
  /** Bytes of bodies or messages, as the server's protocol has them. */
  bytesIn: number;
  bytesOut: number;
  /** Count by the server's own names, as in `{ PutItem: 2 }`. */
  byOperation: Record<string, number>;
}

export const noRequests = (): Requests => ({ count: 0, bytesIn: 0, bytesOut: 0, byOperation: {} });

export function countRequest(total: Requests, operation: string, bytes: number): void {
  total.count += 1;
  total.bytesIn += bytes;
  total.byOperation[operation] = (total.byOperation[operation] ?? 0) + 1;
}
