import { evaluate, type Scope, type Series } from "./metric-math.ts";
import type { MetricStore, Range, Selected } from "./store.ts";

/** The part of CloudWatch's dashboard body that is understood here. */
export type MetricOptions = {
  id?: string;
  label?: string;
  stat?: string;
  expression?: string;
  color?: string;
  visible?: boolean;
  yAxis?: "left" | "right";
};
/** `[namespace, name, dimension, value, ..., options]`, or `[options]` of an expression. */
export type MetricEntry = readonly (string | MetricOptions)[];
export type Query = {
  id: string;
  selected?: Selected;
  stat: string;
  expression?: string;
  options: MetricOptions;
};

export type DrawnLine = {
  label: string;
  color: string | undefined;
  right: boolean;
  values: Series["values"];
};

export function queryOf(entry: MetricEntry, at: number): Query {
  const last = entry.at(-1);
  const options = typeof last === "object" ? last : {};
  const [namespace, name, ...pairs] = entry.filter((part) => typeof part === "string");
  const id = options.id ?? `#${at}`;
  const stat = options.stat ?? "Average";
  if (options.expression !== undefined) return { id, stat, expression: options.expression, options };
  if (namespace === undefined || name === undefined) throw new Error(`${JSON.stringify(entry)} is no metric`);
  const dimensions: Record<string, string> = {};
  for (let i = 0; i + 1 < pairs.length; i += 2) dimensions[pairs[i] ?? ""] = pairs[i + 1] ?? "";
  return { id, stat, selected: { namespace, name, dimensions }, options };
}

/** Every query by its id, expressions after what they name. */
export function scopeOf(queries: readonly Query[], store: MetricStore, range: Range): Scope {
  const byId = new Map(queries.map((query) => [query.id, query]));
  const underWay = new Set<string>();
  const scope: Scope = {
    range,
    store,
    series(id) {
      const query = byId.get(id);
      if (!query) return undefined;
      if (query.selected)
        return { values: store.read(query.selected, query.stat, range), source: query.selected };
      if (underWay.has(id)) throw new Error(`${id} names itself`);
      underWay.add(id);
      const [series] = evaluate(query.expression ?? "", scope);
      underWay.delete(id);
      return series;
    },
  };
  return scope;
}

/** The lines that a metric widget shows. */
export function linesOf(entries: readonly MetricEntry[], store: MetricStore, range: Range): DrawnLine[] {
  const queries = entries.map(queryOf);
  const scope = scopeOf(queries, store, range);
  return queries
    .filter(({ options }) => options.visible !== false)
    .flatMap((query) => {
      const { options } = query;
      const found = query.selected ? [scope.series(query.id)] : evaluate(query.expression ?? "", scope);
      return found
        .filter((series) => series !== undefined)
        .map((series) => ({
          label: labelOf(options.label, series),
          color: found.length > 1 ? undefined : options.color,
          right: options.yAxis === "right",
          values: series.values,
        }));
    });
}

/** Dynamic labels: `${PROP('Dim.tool')}`. */
const labelOf = (label: string | undefined, { source }: Series): string =>
  (label ?? source?.name ?? "").replaceAll(
    /\$\{PROP\('Dim\.(\w+)'\)\}/g,
    (_, dimension: string) => source?.dimensions[dimension] ?? "",
  );

/** Metrics that widgets read and a run did not have. */
export function missingOf(entries: readonly MetricEntry[], store: MetricStore): Selected[] {
  return entries.map(queryOf).flatMap(({ selected }) => (selected && !store.has(selected) ? [selected] : []));
}
