import type { Measured, MetricName, StepName } from "./metrics.ts";

export type Fields = Readonly<Record<string, unknown>>;
/** What a trace can be searched by: few and bounded values, never a user, a chat, a conversation or a text. */
export type Annotations = Readonly<Record<string, string | number | boolean>>;

/** What the core tells of itself. The edge implements it with its logger, tracer and metrics. */
export interface Telemetry {
  /** Runs `work` as one named step of the trace, and counts how long it took where the list has a metric for it. */
  step<T>(name: StepName, work: () => Promise<T>): Promise<T>;
  /** Adds to the step under way. */
  annotate(annotations: Annotations): void;
  /** Adds to a metric; a duration is in milliseconds. */
  count<M extends MetricName>(metric: M, ...measured: Measured<M>): void;
  /** Something failed and the turn goes on without it. Never with message text or secrets in the fields. */
  warn(message: string, fields: Fields & { error?: unknown }): void;
}

/** Milliseconds since `startedAt` of `performance.now()`, to a tenth. */
export const elapsedMs = (startedAt: number) => Math.round((performance.now() - startedAt) * 10) / 10;

export const silentTelemetry: Telemetry = {
  step: (_name, work) => work(),
  annotate: () => {},
  count: () => {},
  warn: () => {},
};
