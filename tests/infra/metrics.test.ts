import { DEFAULT_MODEL } from "@parley/core/budget/price";
import { type DimensionName, dimensions, type MetricName, metrics, SERVICE } from "@parley/core/metrics";
import { alarmState } from "@parley/local/cloudwatch/alarms";
import { queryOf } from "@parley/local/cloudwatch/dashboard";
import { type Datum, dataOf, parseEmf } from "@parley/local/cloudwatch/emf";
import { find } from "@parley/local/cloudwatch/metric-math";
import { MetricStore, type Selected } from "@parley/local/cloudwatch/store";
import { beforeAll, describe, expect, test } from "vitest";
import { alarms } from "../../infra/alarms.ts";
import { dashboardBody } from "../../infra/dashboard.ts";
import { DEPLOYMENT } from "../support/deployment-names.ts";
import { emfProblems } from "../support/emf-schema.ts";
import { everyPath, FALLBACK_MODEL } from "../support/every-path.ts";

/** Counted and shown nowhere, each for a reason. */
const NOT_SHOWN: ReadonlySet<MetricName> = new Set([]);

const names = Object.keys(metrics) as MetricName[];
let lines: string[];
let data: Datum[];
let store: MetricStore;

beforeAll(async () => {
  lines = await everyPath(DEPLOYMENT.namespace);
  data = lines.flatMap((line) => {
    const document = parseEmf(line);
    return document ? dataOf(document) : [];
  });
  store = new MetricStore();
  store.add(data);
}, 120_000);

/** Metrics and searches of widgets and alarms, by where they are. */
function used() {
  const alarmList = alarms(DEPLOYMENT, { modelUsdPerHour: 5 });
  const arns = alarmList.map(({ name }) => `arn:aws:cloudwatch:eu-central-1:000000000000:alarm:${name}`);
  const queries = dashboardBody(DEPLOYMENT, arns).widgets.flatMap((widget) =>
    widget.type === "metric"
      ? widget.properties.metrics.map((entry, at) => ({
          where: widget.properties.title,
          ...queryOf(entry, at),
        }))
      : [],
  );
  const watched = alarmList.flatMap(({ name, queries }) =>
    queries.flatMap((query) => ("metric" in query ? [{ where: name, selected: query.metric }] : [])),
  );
  const shown = queries.flatMap(({ where, selected }) => (selected ? [{ where, selected }] : []));
  const searches = queries.flatMap(({ where, expression }) => {
    const pattern = /SEARCH\('([^']*)'/.exec(expression ?? "")?.[1];
    return pattern === undefined ? [] : [{ where, pattern }];
  });
  return { metrics: [...shown, ...watched], searches };
}
const isOwn = ({ namespace }: Selected) => !namespace.startsWith("AWS/");

describe("what the functions emit when everything happens to them", () => {
  test("is EMF as CloudWatch takes it", () => {
    for (const line of lines) expect(emfProblems(line), line).toEqual([]);
  });

  test("is in the deployment's namespace, of the service, with a unit of the list", () => {
    for (const { namespace, name, unit, dimensions: own } of data) {
      expect({ namespace, service: own["service"] }).toEqual({
        namespace: DEPLOYMENT.namespace,
        service: SERVICE,
      });
      expect(unit).toBe(metrics[name as MetricName].unit);
    }
  });

  test.each(names)("%s comes with the dimensions that the list declares, and with no others", (name) => {
    const declared = metrics[name].dimensions;
    const sets = new Set(
      data
        .filter((datum) => datum.name === name)
        .map(({ dimensions: own }) => Object.keys(own).sort().join()),
    );
    const expected = [["service", ...declared].sort().join()];
    if ("total" in metrics[name]) expected.push("service");
    expect([...sets].sort()).toEqual(expected.sort());
  });

  const bounded = Object.entries(dimensions).filter(([, values]) => values !== "open");
  test.each(bounded)("the dimension %s takes each of its values, and no other", (dimension, values) => {
    const seen = new Set(data.map(({ dimensions: own }) => own[dimension]).filter(Boolean));
    expect([...seen].sort()).toEqual([...values].sort());
  });

  test("open dimensions hold names of ours alone", () => {
    const valuesOf = (dimension: DimensionName) =>
      [...new Set(data.map(({ dimensions: own }) => own[dimension]).filter(Boolean))].sort();
    expect(valuesOf("tool")).toEqual(["get_holidays", "get_today_date", "get_weather", "unknown"]);
    expect(valuesOf("model")).toEqual([DEFAULT_MODEL, FALLBACK_MODEL].sort());
    expect(valuesOf("dependency")).toEqual(["model", "open-meteo", "weatherapi"]);
  });

  test("has no id, no text and no name of anybody in any line", () => {
    for (const line of lines) expect(line).not.toMatch(/conv_|msg_|hunter2|somebody|Barcelona|\bAnn\b|xyzzy/);
  });
});

describe("dashboard and alarms", () => {
  test("read only what is emitted, with the very dimensions that it is emitted with", () => {
    const absent = used().metrics.filter(({ selected }) => isOwn(selected) && !store.has(selected));
    // Which combinations of platform and outcome there are is the traffic's business; each value is emitted.
    const unknown = absent.filter(({ selected }) => selected.name !== "Turns");
    expect(unknown).toEqual([]);
  });

  test("search only for what is emitted", () => {
    for (const { where, pattern } of used().searches) expect(find(store, pattern), where).not.toEqual([]);
  });

  test("show everything that is counted", () => {
    const { metrics: read, searches } = used();
    const shown = new Set([
      ...read.filter(({ selected }) => isOwn(selected)).map(({ selected }) => selected.name),
      ...searches.map(({ pattern }) => /MetricName="(\w+)"/.exec(pattern)?.[1]),
    ]);
    expect(names.filter((name) => !shown.has(name) && !NOT_SHOWN.has(name))).toEqual([]);
  });

  test("a breaker that opened and a message that was given up raise their alarms", () => {
    const ends = data.map(({ at }) => at);
    const window = { start: Math.min(...ends), end: Math.max(...ends) + 1 };
    const raised = alarms(DEPLOYMENT).filter((alarm) => alarmState(alarm, store, window).state === "alarm");
    expect(raised.map(({ name }) => name)).toEqual(expect.arrayContaining(["breaker-open", "dead-letters"]));
  });
});
