import type { MetricName } from "@parley/core/metrics";
import type { Telemetry } from "@parley/core/telemetry";

type Count = { metric: MetricName; value: number; dimensions: Readonly<Record<string, string>> };

/** Keeps what the core tells of itself, for tests to read. */
export class RecordingTelemetry implements Telemetry {
  readonly steps: string[] = [];
  readonly counts: Count[] = [];
  readonly warnings: { message: string; fields: object }[] = [];

  step<T>(name: string, work: () => Promise<T>): Promise<T> {
    this.steps.push(name);
    return work();
  }

  count(metric: MetricName, value = 1, dimensions: Readonly<Record<string, string>> = {}): void {
    this.counts.push({ metric, value, dimensions });
  }

  warn(message: string, fields: object): void {
    this.warnings.push({ message, fields });
  }

  total(metric: MetricName): number {
    return this.counts.filter((count) => count.metric === metric).reduce((sum, { value }) => sum + value, 0);
  }
}
