import { linesOf, type MetricEntry } from "@parley/local/cloudwatch/dashboard";
import { dataOf, parseEmf } from "@parley/local/cloudwatch/emf";
import { evaluate } from "@parley/local/cloudwatch/metric-math";
import { MetricStore, type Range, statistic, type Values } from "@parley/local/cloudwatch/store";
import { describe, expect, test } from "vitest";
import { fc } from "../../support/property.ts";

const RANGE: Range = { start: 0, periodMs: 60_000, count: 3 };
const MINUTE = 60_000;

function storeOf(
  ...data: [name: string, dimensions: Record<string, string>, minute: number, ...values: number[]][]
) {
  const store = new MetricStore();
  store.add(
    data.map(([name, dimensions, minute, ...values]) => {
      return { namespace: "N/test", name, unit: "Count", dimensions, values, at: minute * MINUTE };
    }),
  );
  return store;
}

/** Lines `a`, `b`... of three minutes each, to write expressions over. */
function reckon(expression: string, lines: Record<string, Values> = {}, store = storeOf()): Values[] {
  const series = (id: string) => (lines[id] ? { values: lines[id] } : undefined);
  return evaluate(expression, { range: RANGE, store, series }).map(({ values }) => values);
}

const a = [1, 2, undefined];
const b = [4, undefined, 6];

describe("an expression", () => {
  test.each<[string, Values]>([
    ["a + b", [5, undefined, undefined]],
    ["100 * a / b", [25, undefined, undefined]],
    ["FILL(a, 0) + FILL(b, 0)", [5, 2, 6]],
    ["-a", [-1, -2, undefined]],
    ["(a + 1) * 2 - 1", [3, 5, undefined]],
    ["a / 0", [undefined, undefined, undefined]],
    ["2 + 3 * 4", [14, 14, 14]],
    ["SUM([a, b])", [5, 2, 6]],
    ["MAX([FILL(a, 0), b])", [4, 2, 6]],
    ["AVG([a, b])", [2.5, 2, 6]],
    ["IF(a >= 2, a, 0)", [0, 2, undefined]],
    ["IF(FILL(a, 9) + 1 > b - 1, 1, 0)", [0, undefined, 1]],
    ["60 * a / PERIOD(a)", [1, 2, undefined]],
    ["1.5e-1 * b", [0.6, undefined, 0.9]],
  ])("%s", (expression, expected) => {
    const [values] = reckon(expression, { a, b });
    expect(values?.map((value) => value && Number(value.toFixed(9)))).toEqual(
      expected.map((value) => value && Number(value.toFixed(9))),
    );
  });

  test.each([
    ["a +", /the end/],
    ["a b", /did not expect b/],
    ["c", /there is no c/],
    ["RATE(a)", /no function RATE/],
    ["a $ b", /cannot read/],
    ["SUM(1)", /no time series/],
    ["(a", /expected \)/],
  ])("%s is refused", (expression, message) => {
    expect(() => reckon(expression, { a, b })).toThrow(message);
  });
});

describe("a search", () => {
  const store = storeOf(
    ["Calls", { service: "s", tool: "weather" }, 0, 1, 1],
    ["Calls", { service: "s", tool: "dates" }, 1, 1],
    ["Calls", { service: "other", tool: "dates" }, 1, 1],
    ["Calls", { service: "s" }, 1, 100],
    ["Failures", { service: "s", tool: "dates" }, 1, 1],
  );

  test("finds the metrics of that name with those dimensions and no others", () => {
    const search = `SEARCH('{"N/test",service,tool} MetricName="Calls" service="s"', 'Sum')`;
    expect(reckon(search, {}, store)).toEqual([
      [undefined, 1, undefined],
      [2, undefined, undefined],
    ]);
    expect(reckon(`SUM(${search})`, {}, store)).toEqual([[2, 1, undefined]]);
  });

  test("labels what it finds", () => {
    const expression = `SEARCH('{"N/test",service,tool} MetricName="Calls" service="s"', 'Sum', 60)`;
    // biome-ignore lint/suspicious/noTemplateCurlyInString: that is how CloudWatch writes it.
    const entries: MetricEntry[] = [[{ expression, label: "of ${PROP('Dim.tool')}" }]];
    expect(linesOf(entries, store, RANGE).map(({ label }) => label)).toEqual(["of dates", "of weather"]);
  });
});

test("a widget shows what is not hidden, and expressions name the rest", () => {
  const store = storeOf(["Failed", { service: "s" }, 0, 1, 0, 0, 0], ["Calls", { service: "s" }, 0, 4]);
  const lines = linesOf(
    [
      ["N/test", "Failed", "service", "s", { id: "failed", stat: "Average", visible: false }],
      [{ expression: "double / 2", label: "rate" }],
      [{ id: "double", expression: "200 * failed", visible: false }],
      ["N/test", "Calls", "service", "s", { stat: "Sum", yAxis: "right" }],
      ["N/test", "Calls", "service", "another", { stat: "Sum" }],
    ],
    store,
    RANGE,
  );
  expect(lines.map(({ label, values, right }) => [label, values[0], right])).toEqual([
    ["rate", 25, false],
    ["Calls", 4, true],
    ["Calls", undefined, false],
  ]);
});

describe("statistics", () => {
  const numbers = fc.array(fc.double({ min: -1e6, max: 1e6, noNaN: true }), { minLength: 1, maxLength: 200 });

  test("a percentile leaves its share of the values at or below it", () => {
    return fc.assert(
      fc.property(numbers, fc.integer({ min: 0, max: 100 }), (values, percent) => {
        const value = statistic(values, `p${percent}`);
        const below = values.filter((one) => one <= value + 1e-9).length;
        const above = values.filter((one) => one >= value - 1e-9).length;
        expect(below).toBeGreaterThanOrEqual(Math.floor((percent / 100) * (values.length - 1)) + 1);
        expect(above).toBeGreaterThanOrEqual(Math.floor((1 - percent / 100) * (values.length - 1)) + 1);
      }),
    );
  });

  test("the others are what their names say", () => {
    const values = [4, 1, 7];
    const told = ["Sum", "Average", "Minimum", "Maximum", "SampleCount", "p50", "p100", "p99.9"].map((stat) =>
      statistic(values, stat),
    );
    expect(told).toEqual([12, 4, 1, 7, 3, 4, 7, expect.closeTo(6.994)]);
    expect(() => statistic(values, "Mode")).toThrow("there is no statistic Mode");
  });
});

test("EMF is read with every dimension set of every directive", () => {
  const line = JSON.stringify({
    _aws: {
      Timestamp: 7,
      CloudWatchMetrics: [
        {
          Namespace: "N",
          Dimensions: [["service"], ["service", "tool"]],
          Metrics: [{ Name: "Calls", Unit: "Count" }],
        },
        { Namespace: "N", Dimensions: [[]], Metrics: [{ Name: "Time" }] },
      ],
    },
    service: "s",
    tool: "t",
    Calls: [1, 2],
    Time: 3,
  });
  const document = parseEmf(line);
  expect(document && dataOf(document)).toEqual([
    { namespace: "N", name: "Calls", unit: "Count", dimensions: { service: "s" }, values: [1, 2], at: 7 },
    {
      namespace: "N",
      name: "Calls",
      unit: "Count",
      dimensions: { service: "s", tool: "t" },
      values: [1, 2],
      at: 7,
    },
    { namespace: "N", name: "Time", unit: "None", dimensions: {}, values: [3], at: 7 },
  ]);
  for (const other of ["request", '{"message":"a line about _aws"}', '{"_aws":{}}'])
    expect(parseEmf(other)).toBeUndefined();
});
