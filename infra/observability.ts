import { DEFAULT_MODEL } from "../packages/core/src/budget/price.ts";
import { priceOf } from "../packages/core/src/budget/prices.ts";
import { type Alarm, alarms } from "./alarms.ts";
import { dashboardBody } from "./dashboard.ts";
import { type Deployment, namespaceOf } from "./metrics.ts";
import { pascal } from "./names.ts";

export type Observed = {
  api: sst.aws.ApiGatewayV2;
  /** By their names in the code, the worker with them. */
  functions: ReadonlyMap<string, sst.aws.Function>;
  updates: sst.aws.Queue;
  deadLetters: sst.aws.Queue;
  /** None where MongoDB keeps the conversations. */
  tableName: $util.Output<string> | undefined;
  /** `OPENAI_MODEL`; the default one when absent. */
  model?: string | undefined;
  /** Who is told of alarms; without it they have a topic that nobody reads. */
  alarmEmail?: string | undefined;
  /** What the model's tokens cost, where prices.ts does not know or knows wrong, as it explains. */
  modelPrice?: string | undefined;
  /** US dollars that they may cost in an hour before an alarm says so. */
  modelUsdPerHour?: string | undefined;
};

/**
 * The dashboard, and alarms that tell a topic when they begin and when they end. The functions must have
 * `POWERTOOLS_METRICS_NAMESPACE` from `namespaceOf`.
 */
export function observe(observed: Observed) {
  const { api, functions, updates, deadLetters, tableName, alarmEmail } = observed;
  const { stage, name: app } = $app;
  const model = observed.model || DEFAULT_MODEL;
  const deployment: Deployment<$util.Output<string>> = {
    stage,
    region: "",
    namespace: namespaceOf(stage),
    apiId: api.nodes.api.id,
    functions: Object.fromEntries([...functions].map(([name, fn]) => [name, fn.name])),
    table: tableName,
    queue: updates.nodes.queue.name,
    deadLetterQueue: deadLetters.nodes.queue.name,
    model,
    price: priceOf(model, observed.modelPrice),
  };
  const topic = new aws.sns.Topic("Alarms");
  if (alarmEmail) {
    new aws.sns.TopicSubscription("AlarmEmail", {
      topic: topic.arn,
      protocol: "email",
      endpoint: alarmEmail,
    });
  }
  const all = alarms(deployment, { modelUsdPerHour: budgetOf(observed.modelUsdPerHour) });
  const arns = all.map((alarm) => alarmOf(alarm, `${app}-${stage}`, topic.arn).arn);
  const { functions: names, ...others } = deployment;
  const body = $util
    .all([$util.output(others), $util.output(names), $util.all(arns), aws.getRegionOutput().region])
    .apply(([known, functions, alarmArns, region]) =>
      JSON.stringify(dashboardBody({ ...known, functions, region }, alarmArns)),
    );
  const dashboard = new aws.cloudwatch.Dashboard("Dashboard", {
    dashboardName: `${app}-${stage}`,
    dashboardBody: body,
  });
  return { topic, dashboard };
}

function alarmOf(alarm: Alarm<$util.Output<string>>, prefix: string, topic: $util.Output<string>) {
  const { name, meaning, queries, threshold, periodS, datapoints, periods } = alarm;
  return new aws.cloudwatch.MetricAlarm(`Alarm${pascal(name)}`, {
    name: `${prefix}-${name}`,
    alarmDescription: `${meaning} What to do: README.md, runbook, ${name}.`,
    metricQueries: queries.map((query, at) => ({
      id: query.id,
      returnData: at === queries.length - 1,
      ...("expression" in query
        ? { expression: query.expression, label: name }
        : {
            metric: {
              namespace: query.metric.namespace,
              metricName: query.metric.name,
              dimensions: { ...query.metric.dimensions },
              stat: query.stat,
              period: periodS,
            },
          }),
    })),
    comparisonOperator: "GreaterThanThreshold",
    threshold,
    evaluationPeriods: periods,
    datapointsToAlarm: datapoints,
    // What does not happen is not emitted.
    treatMissingData: "notBreaching",
    alarmActions: [topic],
    okActions: [topic],
  });
}

function budgetOf(setting: string | undefined): number | undefined {
  if (!setting) return undefined;
  const usd = Number(setting);
  if (usd > 0 && Number.isFinite(usd)) return usd;
  throw new Error(`ALARM_MODEL_USD_PER_HOUR is ${setting}, not an amount of US dollars`);
}
