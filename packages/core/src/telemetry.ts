import type { MetricName } from "./metrics.ts";

export type Fields = Readonly<Record<string, unknown>>;

/** What the core tells of itself. The edge implements it with its logger, tracer and metrics. */
export interface Telemetry {
  /** Runs `work` as one named step of the trace. */
  step<T>(name: string, work: () => Promise<T>): Promise<T>;
  /** Adds to a counter. Dimensions are few and bounded: never a user's, chat's or conversation's id. */
  count(metric: MetricName, value?: number, dimensions?: Readonly<Record<string, string>>): void;
  /** Something failed and the turn goes on without it. Never with message text or secrets in the fields. */
  warn(message: string, fields: Fields & { error?: unknown }): void;
}

export const silentTelemetry: Telemetry = {
  step: (_name, work) => work(),
  count: () => {},
  warn: () => {},
};
