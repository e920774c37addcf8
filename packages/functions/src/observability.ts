import { Logger } from "@aws-lambda-powertools/logger";
import { Metrics, MetricUnit } from "@aws-lambda-powertools/metrics";
import { metrics as names } from "@parley/core/metrics";
import type { Telemetry } from "@parley/core/telemetry";
import { environment } from "./environment.ts";

type Subsegment = { addError(error: Error | string): void; close(): void };

const SERVICE = "parley";

export const logger = new Logger({ serviceName: SERVICE });
export const metrics = new Metrics({ namespace: "Parley", serviceName: SERVICE });

/** The X-Ray SDK is the heaviest import of the edge: loaded only where tracing is asked for. */
export const tracer =
  environment["POWERTOOLS_TRACE_ENABLED"] === "true"
    ? new (await import("@aws-lambda-powertools/tracer")).Tracer({ serviceName: SERVICE })
    : undefined;

export const telemetry: Telemetry = {
  async step<T>(name: string, work: () => Promise<T>): Promise<T> {
    if (!tracer) return work();
    const traced = async (subsegment: Subsegment | undefined) => {
      try {
        return await work();
      } catch (error) {
        subsegment?.addError(error instanceof Error ? error : String(error));
        throw error;
      } finally {
        subsegment?.close();
      }
    };
    return tracer.provider.captureAsyncFunc(name, traced) as Promise<T>;
  },
  count(metric, value = 1, dimensions) {
    const target = dimensions ? metrics.singleMetric() : metrics;
    if (dimensions) target.addDimensions({ ...dimensions });
    target.addMetric(metric, MetricUnit[names[metric]], value);
  },
  warn(message, fields) {
    logger.warn(message, { ...fields });
  },
};
