import { type Query, scopeOf } from "./dashboard.ts";
import type { AlarmState } from "./page.ts";
import type { MetricStore, Selected, Values } from "./store.ts";

/** What is understood of an alarm: the last query is compared, and missing data is no breach. */
export type LocalAlarm = {
  queries: readonly ({ id: string } & ({ metric: Selected; stat: string } | { expression: string }))[];
  threshold: number;
  datapoints: number;
  periods: number;
};

/** The alarm as it would stand if its window were `start` to `end`, whatever its period is on AWS. */
export function alarmState(
  alarm: LocalAlarm,
  store: MetricStore,
  { start, end }: { start: number; end: number },
): AlarmState {
  const { threshold, datapoints, periods } = alarm;
  const queries = alarm.queries.map((query): Query => {
    const { id } = query;
    return "metric" in query
      ? { id, stat: query.stat, selected: query.metric, options: {} }
      : { id, stat: "", expression: query.expression, options: {} };
  });
  const missing = queries.flatMap(({ selected }) => (selected && !store.has(selected) ? [selected] : []));
  const foreign = missing.find(({ namespace }) => namespace.startsWith("AWS/"));
  if (foreign && missing.length === queries.filter(({ selected }) => selected).length) {
    return { state: "unknown", note: "AWS" };
  }
  const range = { start, periodMs: (end - start) / periods, count: periods };
  const scope = scopeOf(queries, store, range);
  const values: Values = scope.series(queries.at(-1)?.id ?? "")?.values ?? [];
  const over = values.filter((value) => value !== undefined && value > threshold);
  return over.length >= datapoints ? { state: "alarm", note: "" } : { state: "ok", note: "" };
}
