import { describe, expect, test } from "vitest";
import { alarms } from "../../infra/alarms.ts";
import type { DashboardBody } from "../../infra/widgets.ts";
import { DEPLOYMENT } from "../support/deployment-names.ts";
import { stageGraph } from "../support/sst/stages.ts";

// That what is shown and watched is emitted, and the other way round, metrics.test.ts holds over the same lists.

const graph = stageGraph("production");
const TOPIC = "arn:aws:sns:us-east-1:123456789012:";

const { dashboardBody } = graph.one("aws:cloudwatch/dashboard:Dashboard").inputs;
const body = JSON.parse(String(dashboardBody)) as DashboardBody;
const alarmResources = graph.all("aws:cloudwatch/metricAlarm:MetricAlarm").map(({ inputs }) => inputs);

type Watched = { namespace: string; dimensions: Record<string, string> };

/** Every metric of an alarm, and every one of the dashboard that is named and not searched for. */
function watched(): Watched[] {
  const ofAlarms = alarmResources.flatMap(({ metricQueries }) =>
    (metricQueries as { metric?: Watched }[]).flatMap(({ metric }) => (metric ? [metric] : [])),
  );
  const ofWidgets = body.widgets.flatMap((widget) =>
    widget.type === "metric"
      ? widget.properties.metrics.flatMap((entry) => {
          const [namespace, , ...rest] = (entry as unknown[]).filter((part) => typeof part === "string");
          if (namespace === undefined) return [];
          const pairs = rest.flatMap((name, at) => (at % 2 === 0 ? [[name, rest[at + 1] ?? ""]] : []));
          return [{ namespace, dimensions: Object.fromEntries(pairs) }];
        })
      : [],
  );
  return [...ofAlarms, ...ofWidgets];
}

describe("alarms", () => {
  test("are those of the list, and each tells the topic when it begins and when it ends", () => {
    const names = alarms(DEPLOYMENT).map(({ name }) => `parley-production-${name}`);
    expect(alarmResources.map(({ name }) => name).sort()).toEqual(names.sort());
    for (const { alarmActions, okActions, treatMissingData } of alarmResources) {
      expect(alarmActions).toEqual([expect.stringContaining(TOPIC)]);
      expect(okActions).toEqual(alarmActions);
      expect(treatMissingData).toBe("notBreaching");
    }
  });

  test("reach ALARM_EMAIL where it is set, and nobody elsewhere", () => {
    expect(graph.one("aws:sns/topicSubscription:TopicSubscription").inputs).toMatchObject({
      protocol: "email",
      endpoint: "somebody@example.com",
      topic: expect.stringContaining(TOPIC),
    });
    expect(stageGraph("development").all("aws:sns/topicSubscription:TopicSubscription")).toEqual([]);
  });
});

describe("dashboard and alarms", () => {
  test("read the namespace that the functions of this stage are told", () => {
    const own = new Set(
      watched().flatMap(({ namespace }) => (namespace.startsWith("AWS/") ? [] : [namespace])),
    );
    expect([...own]).toEqual(["Parley/production"]);
    for (const name of graph.functions) {
      expect(graph.environment(name)["POWERTOOLS_METRICS_NAMESPACE"]).toBe("Parley/production");
    }
  });

  test("read AWS's own metrics of this deployment's functions, queues, table and API, and of all of them", () => {
    const physical = (type: string) => graph.all(type).map(({ inputs }) => String(inputs["name"]));
    const read = (dimension: string) =>
      new Set(watched().flatMap(({ dimensions }) => dimensions[dimension] ?? []));
    expect(read("FunctionName")).toEqual(new Set(physical("aws:lambda/function:Function")));
    expect(read("QueueName")).toEqual(new Set(physical("aws:sqs/queue:Queue")));
    expect(read("TableName")).toEqual(new Set(physical("aws:dynamodb/table:Table")));
    expect(read("ApiId")).toEqual(new Set(["ApiApi-id"]));
  });

  test("show the state of every alarm", () => {
    const shown = body.widgets.flatMap((widget) => (widget.type === "alarm" ? widget.properties.alarms : []));
    expect(shown).toHaveLength(alarmResources.length);
  });
});

describe("the mongodb stage", () => {
  test("watches no table", () => {
    const { inputs } = stageGraph("mongodb").one("aws:cloudwatch/dashboard:Dashboard");
    expect(String(inputs["dashboardBody"])).not.toContain("AWS/DynamoDB");
  });
});
