import { readFile } from "node:fs/promises";
import { SERVICE } from "@parley/core/metrics";
import { alarmState } from "@parley/local/cloudwatch/alarms";
import { MetricStore } from "@parley/local/cloudwatch/store";
import { describe, expect, test } from "vitest";
import { alarms } from "../../../infra/alarms.ts";
import { DEPLOYMENT } from "../../support/deployment-names.ts";

const ALL = alarms(DEPLOYMENT, { modelUsdPerHour: 5 });
const OWN = { namespace: DEPLOYMENT.namespace, dimensions: { service: SERVICE } };
const MODEL = { namespace: DEPLOYMENT.namespace, dimensions: { service: SERVICE, model: DEPLOYMENT.model } };
const API = { namespace: "AWS/ApiGateway", dimensions: { ApiId: DEPLOYMENT.apiId } };
const queue = (QueueName: string) => ({ namespace: "AWS/SQS", dimensions: { QueueName } });
const worker = { namespace: "AWS/Lambda", dimensions: { FunctionName: "parley-test-telegram-worker" } };
const table = { namespace: "AWS/DynamoDB", dimensions: { TableName: "parley-test-table" } };

type Fed = [of: { namespace: string; dimensions: Record<string, string> }, name: string, ...values: number[]];

/** An alarm's state when each of its periods has these values. */
function stateOf(name: string, ...fed: Fed[]): string {
  const alarm = ALL.find((one) => one.name === name);
  if (!alarm) throw new Error(`there is no alarm ${name}`);
  const store = new MetricStore();
  for (let period = 0; period < alarm.periods; period++) {
    store.add(
      fed.map(([of, metric, ...values]) => ({ ...of, name: metric, unit: "Count", values, at: period })),
    );
  }
  return alarmState(alarm, store, { start: 0, end: alarm.periods }).state;
}

const share = (failed: number, of: number) => Array.from({ length: of }, (_, at) => Number(at < failed));

describe("an alarm is raised", () => {
  test.each<[string, Fed[]]>([
    [
      "error-rate",
      [
        [API, "Count", 100],
        [API, "5xx", 6],
      ],
    ],
    [
      "turn-failures",
      [
        [OWN, "Turns", 100],
        [OWN, "TurnFailures", ...share(6, 100)],
      ],
    ],
    [
      "turn-latency",
      [
        [OWN, "Turns", 30],
        [OWN, "TurnDuration", ...Array(29).fill(900), 40_000],
      ],
    ],
    ["breaker-open", [[OWN, "CircuitOpened", 1]]],
    ["dead-letters", [[OWN, "TelegramDeadLetters", 1]]],
    ["dead-letter-queue", [[queue(DEPLOYMENT.deadLetterQueue), "ApproximateNumberOfMessagesVisible", 1]]],
    ["queue-age", [[queue(DEPLOYMENT.queue), "ApproximateAgeOfOldestMessage", 601]]],
    ["telegram-function-throttles", [[worker, "Throttles", 1]]],
    [
      "api-throttles",
      [
        [API, "4xx", 90],
        [OWN, "RequestRejections", 1, 1, 0],
      ],
    ],
    ["table-throttles", [[table, "WriteThrottleEvents", 1]]],
    [
      "model-cost",
      [
        [MODEL, "ModelInputTokens", 6_000_000],
        [MODEL, "ModelCachedTokens", 0],
        [MODEL, "ModelOutputTokens", 200_000],
      ],
    ],
  ])("%s", (name, fed) => {
    expect(stateOf(name, ...fed)).toBe("alarm");
  });
});

describe("it is not", () => {
  test.each<[string, Fed[]]>([
    [
      "error-rate",
      [
        [API, "Count", 100],
        [API, "5xx", 5],
      ],
    ],
    // One of two is half of them, and no outage.
    [
      "error-rate",
      [
        [API, "Count", 2],
        [API, "5xx", 1],
      ],
    ],
    ["error-rate", [[API, "Count", 100]]],
    [
      "turn-failures",
      [
        [OWN, "Turns", 10],
        [OWN, "TurnFailures", ...share(5, 10)],
      ],
    ],
    [
      "turn-latency",
      [
        [OWN, "Turns", 3],
        [OWN, "TurnDuration", 40_000],
      ],
    ],
    [
      "turn-latency",
      [
        [OWN, "Turns", 30],
        [OWN, "TurnDuration", ...Array(30).fill(14_000)],
      ],
    ],
    ["breaker-open", []],
    [
      "api-throttles",
      [
        [API, "4xx", 50],
        [OWN, "RequestRejections", ...share(45, 50)],
      ],
    ],
    [
      "model-cost",
      [
        [MODEL, "ModelInputTokens", 6_000_000],
        [MODEL, "ModelCachedTokens", 6_000_000],
        [MODEL, "ModelOutputTokens", 200_000],
      ],
    ],
  ])("%s", (name, fed) => {
    expect(stateOf(name, ...fed)).not.toBe("alarm");
  });
});

test("names are unique, and CloudWatch takes each: at most ten metrics, ids of lower case, whole minutes", () => {
  expect(new Set(ALL.map(({ name }) => name)).size).toBe(ALL.length);
  for (const { name, queries, periodS, periods, datapoints, meaning } of ALL) {
    expect(queries.filter((query) => "metric" in query).length, name).toBeLessThanOrEqual(10);
    for (const { id } of queries) expect(id).toMatch(/^[a-z]\w*$/);
    expect(periodS % 60).toBe(0);
    // A day is the longest that an alarm may look at.
    expect(periodS * periods).toBeLessThanOrEqual(86_400);
    expect(datapoints).toBeLessThanOrEqual(periods);
    expect(meaning).toMatch(/^[A-Zg].+\.$/);
  }
});

test("every function is watched for throttles", () => {
  const watched = ALL.filter(({ name }) => name.endsWith("-function-throttles")).flatMap(({ queries }) =>
    queries.flatMap((query) => ("metric" in query ? Object.values(query.metric.dimensions) : [])),
  );
  expect(watched.sort()).toEqual(Object.values(DEPLOYMENT.functions).sort());
});

test("without a table there is none to watch, and without a budget no cost", () => {
  const names = alarms({ ...DEPLOYMENT, table: undefined }).map(({ name }) => name);
  expect(names).not.toContain("table-throttles");
  expect(names).not.toContain("model-cost");
});

test("the README's runbook has an entry for each, and for no others", async () => {
  const readme = await readFile(new URL("../../../README.md", import.meta.url), "utf8");
  const runbook = /\n## Runbook\n([\s\S]*?)\n## /.exec(readme)?.[1] ?? "";
  const entries = [...runbook.matchAll(/^\*\*`([a-z-]+)`/gm)].map(([, name]) => name);
  expect(entries.sort()).toEqual(ALL.map(({ name }) => name).sort());
});

test("an alarm on costs needs a price", () => {
  const unknown = { ...DEPLOYMENT, model: "llama3", price: undefined };
  expect(() => alarms(unknown, { modelUsdPerHour: 1 })).toThrow(
    /ALARM_MODEL_USD_PER_HOUR is set, .* MODEL_PRICE/,
  );
});
