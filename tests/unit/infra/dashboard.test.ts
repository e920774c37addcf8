import { renderPage } from "@parley/local/cloudwatch/page";
import { MetricStore } from "@parley/local/cloudwatch/store";
import { describe, expect, test } from "vitest";
import { dashboardBody } from "../../../infra/dashboard.ts";
import { DEPLOYMENT } from "../../support/deployment-names.ts";

const ARNS = ["arn:aws:cloudwatch:eu-central-1:000000000000:alarm:parley-test-breaker-open"];
const { widgets } = dashboardBody(DEPLOYMENT, ARNS);
const graphs = widgets.flatMap((widget) => (widget.type === "metric" ? [widget] : []));

describe("the dashboard", () => {
  test("fits CloudWatch's grid: whole numbers, 24 columns, nothing on top of anything", () => {
    const taken = new Set<string>();
    for (const { x, y, width, height } of widgets) {
      for (const size of [x, y, width, height]) expect(Number.isInteger(size)).toBe(true);
      expect(x + width).toBeLessThanOrEqual(24);
      for (let column = x; column < x + width; column++) {
        for (let row = y; row < y + height; row++) {
          expect(taken).not.toContain(`${column},${row}`);
          taken.add(`${column},${row}`);
        }
      }
    }
    expect(widgets.length).toBeLessThanOrEqual(500);
  });

  test("names lines as CloudWatch allows, each once in its graph", () => {
    for (const { properties } of graphs) {
      const options = properties.metrics.map((entry) => entry.at(-1) as { id?: string; expression?: string });
      const ids = options.flatMap(({ id }) => (id === undefined ? [] : [id]));
      expect(new Set(ids).size, properties.title).toBe(ids.length);
      for (const id of ids) expect(id).toMatch(/^[a-z]\w*$/);
      for (const { expression = "" } of options) {
        const named = expression.replaceAll(/'[^']*'/g, "").match(/\b[a-z]\w*\b/g) ?? [];
        for (const id of named) expect(ids, `${properties.title}: ${expression}`).toContain(id);
      }
    }
  });

  test("titles are unique, and every axis says of what", () => {
    const titles = graphs.map(({ properties }) => properties.title);
    expect(new Set(titles).size).toBe(titles.length);
    for (const { properties } of graphs) {
      if (properties.view === "timeSeries")
        expect(properties.yAxis?.left?.label, properties.title).toBeTruthy();
    }
  });

  test("draws what the service is to be watched by", () => {
    const titles = graphs.map(({ properties }) => properties.title);
    expect(titles).toEqual(
      expect.arrayContaining([
        "Requests a minute",
        "Errors",
        "Latency",
        "Where the time goes",
        "Tokens",
        "Cost of the model",
        "Cache hit rate",
        "Circuit breaker",
        "Where a session was found",
        "Messages sent",
        "Time in the queue",
        "Queue and dead letters",
        "Function errors",
        "Function throttles",
        "Concurrent executions",
        "Table throttles",
      ]),
    );
  });

  test("without a table, a price or alarms shows the rest", () => {
    const { widgets: fewer } = dashboardBody({
      ...DEPLOYMENT,
      table: undefined,
      price: undefined,
      model: "llama3",
    });
    const text = JSON.stringify(fewer);
    expect(text).not.toMatch(/AWS\/DynamoDB|US\$ an hour|"type":"alarm"/);
    expect(text).toContain("MODEL_PRICE");
    for (const { x, width } of fewer) expect(Number.isInteger(x) && Number.isInteger(width)).toBe(true);
  });

  test("is below CloudWatch's size, and holds no secret or address", () => {
    const text = JSON.stringify(dashboardBody(DEPLOYMENT, ARNS));
    expect(text.length).toBeLessThan(200_000);
    expect(text).not.toMatch(/https?:|token=|arn:aws:(?!cloudwatch)/);
  });
});

describe("drawn on this machine", () => {
  const range = { start: Date.UTC(2026, 10, 22), periodMs: 3_000, count: 30 };
  const page = (store = new MetricStore()) =>
    renderPage({
      title: "<Parley>",
      widgets,
      store,
      range,
      alarmStates: new Map([[ARNS[0] ?? "", { state: "alarm", note: "" }]]),
      note: "a & b",
    });

  test("is one page that loads nothing", () => {
    expect(page()).not.toMatch(/(?:src|href)=|url\(|@import|<script/i);
    expect(page()).toContain("<title>&lt;Parley&gt;</title>");
    expect(page()).toContain("a &amp; b");
  });

  test("says what had nothing to count, and what only AWS measures", () => {
    const html = page();
    expect(html).toContain("Nothing to count in this run");
    expect(html).toContain("Measured by AWS (AWS/Lambda): no local source");
  });

  test("shows the numbers, lines and alarms of the run", () => {
    const store = new MetricStore();
    const own = { namespace: DEPLOYMENT.namespace, unit: "Count", dimensions: { service: "parley" } };
    store.add(
      [0, 10, 20].map((second) => ({
        ...own,
        name: "Requests",
        values: [1, 1],
        at: range.start + second * 1_000,
      })),
    );
    const html = page(store);
    expect(html).toMatch(/<div class="number">6<small>answered<\/small>/);
    expect(html).toMatch(/alarm raised">parley-test-breaker-open</);
    expect(html).toMatch(/<circle|<polyline/);
  });
});
