import type { Metric } from "./metrics.ts";

/** One line of a graph; `id` names it for expressions, and `hidden` keeps it for them alone. */
export type Line = {
  id?: string;
  label: string;
  color?: string;
  hidden?: boolean;
  right?: boolean;
} & ({ metric: Metric; stat: string } | { expression: string });

/** As the body of a dashboard has them. */
export type MetricOptions = {
  id?: string;
  label?: string;
  stat?: string;
  expression?: string;
  color?: string;
  visible?: boolean;
  yAxis?: "left" | "right";
};
export type MetricEntry = [...string[], MetricOptions] | [MetricOptions];
export type MetricProperties = {
  title: string;
  region: string;
  view: "timeSeries" | "singleValue";
  stacked: boolean;
  period: number;
  metrics: MetricEntry[];
  yAxis?: { left?: Axis; right?: Axis };
  annotations?: { horizontal: { label: string; value: number; color?: string }[] };
  setPeriodToTimeRange?: boolean;
  sparkline?: boolean;
  legend?: { position: "bottom" | "right" | "hidden" };
};
type Axis = { min?: number; max?: number; label?: string; showUnits?: boolean };
type Place = { x: number; y: number; width: number; height: number };
export type Widget =
  | (Place & { type: "text"; properties: { markdown: string; background: "transparent" | "solid" } })
  | (Place & { type: "alarm"; properties: { title: string; alarms: string[] } })
  | (Place & { type: "metric"; properties: MetricProperties });
export type DashboardBody = { start: string; periodOverride: "auto" | "inherit"; widgets: Widget[] };

/** A widget before it has its place. */
type Loose<W> = W extends unknown ? Omit<W, keyof Place> : never;
export type Block = Loose<Widget>;

/** Seconds; the console takes longer ones where it shows more than a few hours. */
const PERIOD_S = 60;
const COLUMNS = 24;

/** Rows of blocks that share the width of 24 columns, from top to bottom. */
export function stack(rows: readonly { height: number; blocks: readonly Block[] }[]): Widget[] {
  let y = 0;
  return rows.flatMap(({ height, blocks }) => {
    const width = COLUMNS / blocks.length;
    const placed = blocks.map((block, at): Widget => ({ ...block, x: at * width, y, width, height }));
    y += height;
    return placed;
  });
}

export const text = (markdown: string): Block => ({
  type: "text",
  properties: { markdown, background: "transparent" },
});

export type GraphOptions = {
  stacked?: boolean;
  /** Under the left axis, and the right one. */
  unit?: string;
  rightUnit?: string;
  max?: number;
  limit?: { label: string; value: number };
};

/** Lines over time. */
export const graph = (region: string) =>
  function graphOf(title: string, lines: readonly Line[], options: GraphOptions = {}): Block {
    const { stacked = false, unit, rightUnit, max, limit } = options;
    const axis = (label: string | undefined): Axis => ({ min: 0, showUnits: false, ...(label && { label }) });
    return {
      type: "metric",
      properties: {
        title,
        region,
        view: "timeSeries",
        stacked,
        period: PERIOD_S,
        metrics: lines.map(entryOf),
        yAxis: {
          left: { ...axis(unit), ...(max !== undefined && { max }) },
          ...(rightUnit && { right: axis(rightUnit) }),
        },
        ...(limit && { annotations: { horizontal: [{ ...limit, color: "#c0362c" }] } }),
      },
    };
  };

/** One number for all of the time that is shown. */
export const number = (region: string) =>
  function numberOf(title: string, lines: readonly Line[]): Block {
    return {
      type: "metric",
      properties: {
        title,
        region,
        view: "singleValue",
        stacked: false,
        period: PERIOD_S,
        metrics: lines.map(entryOf),
        setPeriodToTimeRange: true,
        sparkline: false,
      },
    };
  };

function entryOf({ id, label, color, hidden, right, ...source }: Line): MetricEntry {
  const options: MetricOptions = {
    ...(id && { id }),
    ...(label && { label }),
    ...(color && { color }),
    ...(hidden && { visible: false }),
    ...(right && { yAxis: "right" as const }),
  };
  if ("expression" in source) return [{ ...options, expression: source.expression }];
  const { namespace, name, dimensions } = source.metric;
  return [namespace, name, ...Object.entries(dimensions).flat(), { ...options, stat: source.stat }];
}
