import { Metrics, MetricUnit } from "@aws-lambda-powertools/metrics";
import { metrics as list, type MetricName, NAMESPACE, SERVICE } from "@parley/core/metrics";
import { environment } from "./environment.ts";

/**
 * One of Powertools' instances for each combination of dimensions. An EMF line has its dimensions for all of its
 * metrics, so what shares them is written as one line an invocation, instead of one a value.
 */
const instances = new Map<string, Metrics>();
const touched = new Set<Metrics>();
const whole = instanceFor({});

export function count(name: MetricName, value = 1, dimensions: Readonly<Record<string, string>> = {}): void {
  const { unit, ...definition } = list[name];
  const targets = definition.dimensions.length > 0 ? [instanceFor(dimensions)] : [];
  if (targets.length === 0 || "total" in definition) targets.push(whole);
  for (const target of targets) {
    target.addMetric(name, MetricUnit[unit], value);
    touched.add(target);
  }
}

function instanceFor(dimensions: Readonly<Record<string, string>>): Metrics {
  const key = JSON.stringify(dimensions);
  const known = instances.get(key);
  if (known) return known;
  const instance = new Metrics({
    namespace: environment["POWERTOOLS_METRICS_NAMESPACE"] || NAMESPACE,
    serviceName: SERVICE,
    defaultDimensions: { ...dimensions },
  });
  instances.set(key, instance);
  return instance;
}

function publish(): void {
  for (const instance of touched) instance.publishStoredMetrics();
  touched.clear();
}

/** Middleware, the outermost: cold starts, and whatever was counted by the end of the invocation, answered or not. */
export const metering = {
  before: ({ context }: { context: { functionName: string } }): void =>
    whole.captureColdStartMetric(context.functionName),
  after: publish,
  onError: publish,
};
