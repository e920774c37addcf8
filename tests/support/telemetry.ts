import type { Measured, MetricName, StepName } from "@parley/core/metrics";
import type { Annotations, Telemetry } from "@parley/core/telemetry";

type Count = { metric: MetricName; value: number; dimensions: Readonly<Record<string, string>> };

/** Keeps what the core tells of itself, for tests to read. */
export class RecordingTelemetry implements Telemetry {
  readonly steps: string[] = [];
  readonly annotations: Annotations[] = [];
  readonly counts: Count[] = [];
  readonly warnings: { message: string; fields: object }[] = [];

  step<T>(name: StepName, work: () => Promise<T>): Promise<T> {
    this.steps.push(name);
    return work();
  }

  annotate(annotations: Annotations): void {
    this.annotations.push(annotations);
  }

  count<M extends MetricName>(metric: M, ...[value = 1, dimensions]: Measured<M>): void {
    this.counts.push({ metric, value, dimensions: dimensions ?? {} });
  }

  warn(message: string, fields: object): void {
    this.warnings.push({ message, fields });
  }

  total(metric: MetricName): number {
    return this.counts.filter((count) => count.metric === metric).reduce((sum, { value }) => sum + value, 0);
  }
}
