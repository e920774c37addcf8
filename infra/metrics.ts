import type { Price } from "../packages/core/src/budget/price.ts";
import {
  type DimensionName,
  type Dimensions,
  type MetricName,
  metrics,
  NAMESPACE,
  SERVICE,
} from "../packages/core/src/metrics.ts";

/** What the functions are told by `POWERTOOLS_METRICS_NAMESPACE`: stages may share an account. */
export const namespaceOf = (stage: string) => `${NAMESPACE}/${stage}`;

/** What dashboard and alarms have to know of a deployment. `Name` is a name that AWS has given: known, or known later. */
export type Deployment<Name = string> = {
  /** "production", "dev"... */
  stage: string;
  region: string;
  /** Of the product's own metrics. */
  namespace: string;
  apiId: Name;
  /** By their names in the code: "start-conversation", "telegram-worker"... */
  functions: Readonly<Record<string, Name>>;
  /** None where MongoDB keeps the conversations. */
  table: Name | undefined;
  queue: Name;
  deadLetterQueue: Name;
  /** `OPENAI_MODEL`. */
  model: string;
  /** US dollars for a million tokens; undefined when nobody knows. */
  price: Price | undefined;
};

export type Metric<Name = string> = {
  namespace: string;
  name: string;
  dimensions: Readonly<Record<string, string | Name>>;
};

/** A metric that is emitted without its dimensions may be read without them, others not. */
type Chosen<M extends MetricName> = (typeof metrics)[M] extends { dimensions: readonly [] } | { total: true }
  ? [dimensions?: Dimensions<M>]
  : [dimensions: Dimensions<M>];

/** A metric of the list: another name, or other dimensions than the code gives it, does not compile. */
export function own<M extends MetricName>(
  { namespace }: Pick<Deployment, "namespace">,
  name: M,
  ...[dimensions]: Chosen<M>
): Metric {
  return { namespace, name, dimensions: { service: SERVICE, ...dimensions } };
}

type Divided = {
  [M in MetricName]: (typeof metrics)[M]["dimensions"] extends readonly [] ? never : M;
}[MetricName];

/** A metric of the list by each value that one of its dimensions has, whatever they turn out to be. */
export function each<M extends Divided>(
  { namespace }: Pick<Deployment, "namespace">,
  name: M,
  stat: string,
): { search: string; label: string } {
  const names: readonly DimensionName[] = metrics[name].dimensions;
  const schema = [`"${namespace}"`, "service", ...names].join(",");
  return {
    search: `SEARCH('{${schema}} MetricName="${name}" service="${SERVICE}"', '${stat}')`,
    label: names.map((dimension) => `\${PROP('Dim.${dimension}')}`).join(" "),
  };
}

/** What AWS itself measures, as far as we look at it, with the dimensions that it is measured by. */
const awsMetrics = {
  "AWS/ApiGateway": { names: ["Count", "4xx", "5xx", "Latency"], dimensions: ["ApiId"] },
  "AWS/Lambda": {
    names: ["Invocations", "Errors", "Throttles", "Duration", "ConcurrentExecutions"],
    dimensions: ["FunctionName"],
  },
  "AWS/SQS": {
    names: [
      "ApproximateAgeOfOldestMessage",
      "ApproximateNumberOfMessagesVisible",
      "ApproximateNumberOfMessagesNotVisible",
    ],
    dimensions: ["QueueName"],
  },
  "AWS/DynamoDB": {
    names: [
      "ReadThrottleEvents",
      "WriteThrottleEvents",
      "ConsumedReadCapacityUnits",
      "ConsumedWriteCapacityUnits",
    ],
    dimensions: ["TableName"],
  },
} as const;

type AwsMetrics = typeof awsMetrics;

export function aws<N extends keyof AwsMetrics, Name>(
  namespace: N,
  name: AwsMetrics[N]["names"][number],
  value: Name,
): Metric<Name> {
  return { namespace, name, dimensions: { [awsMetrics[namespace].dimensions[0]]: value } };
}
