import { Logger } from "@aws-lambda-powertools/logger";
import { isAppError } from "@parley/core/error";
import { type MetricName, SERVICE, stepDurations } from "@parley/core/metrics";
import { type Annotations, elapsedMs, type Telemetry } from "@parley/core/telemetry";
import { environment } from "./environment.ts";
import { count } from "./metering.ts";

type Subsegment = { addError(error: Error | string): void; close(): void };

export const logger = new Logger({ serviceName: SERVICE });

/** The X-Ray SDK is the heaviest import of the edge: loaded only where tracing is asked for. */
export const tracer =
  environment["POWERTOOLS_TRACE_ENABLED"] === "true"
    ? new (await import("@aws-lambda-powertools/tracer")).Tracer({
        serviceName: SERVICE,
        // The steps tell what is called. A request's own record would hold its path, and Telegram's have the bot's token.
        captureHTTPsRequests: false,
      })
    : undefined;

const durations: Readonly<Record<string, MetricName>> = stepDurations;

export const telemetry: Telemetry = {
  async step(name, work) {
    const metric = durations[name];
    const startedAt = performance.now();
    try {
      // Most invocations are not sampled: nothing is kept of their steps.
      return tracer?.isTraceSampled() ? await traced(name, work) : await work();
    } finally {
      if (metric) count(metric, elapsedMs(startedAt));
    }
  },
  annotate,
  count(metric, ...[value, dimensions]) {
    count(metric, value, dimensions);
  },
  warn(message, fields) {
    logger.warn(message, { ...fields });
  },
};

function traced<T>(name: string, work: () => Promise<T>): Promise<T> {
  const within = async (subsegment: Subsegment | undefined) => {
    try {
      return await work();
    } catch (error) {
      subsegment?.addError(kindOf(error));
      throw error;
    } finally {
      subsegment?.close();
    }
  };
  return tracer?.provider.captureAsyncFunc(name, within) as Promise<T>;
}

function annotate(annotations: Annotations): void {
  const { prompt } = annotations;
  // On the log lines of the turn too, from here on.
  if (prompt !== undefined) logger.appendKeys({ prompt_version: prompt });
  if (!tracer?.isTraceSampled()) return;
  for (const [key, value] of Object.entries(annotations)) tracer.putAnnotation(key, value);
}

/** Without its words. */
function kindOf(error: unknown): Error {
  if (!(error instanceof Error)) return new Error(typeof error);
  const kind = new Error(isAppError(error) ? error.code : error.name);
  kind.name = error.name;
  delete kind.stack;
  return kind;
}
