import type { DrawnLine } from "./dashboard.ts";
import type { Range, Values } from "./store.ts";

export type ChartOptions = {
  width: number;
  height: number;
  range: Range;
  stacked: boolean;
  unit: string;
  max?: number | undefined;
  limit?: { label: string; value: number } | undefined;
};

const PALETTE = [
  "#2a7de1",
  "#e08a00",
  "#2e8b57",
  "#7a5cc7",
  "#c0362c",
  "#1a9aa0",
  "#8b95a5",
  "#b8558f",
  "#6b8e23",
];
const INK = { axis: "#5b6472", grid: "#e6e9ee", limit: "#c0362c" };
const MARGIN = { top: 16, right: 10, bottom: 20, left: 46 };
const X_TICK_WIDTH = 95;
const Y_TICKS = 4;

export const colorOf = ({ color }: Pick<DrawnLine, "color">, at: number): string =>
  color ?? PALETTE[at % PALETTE.length] ?? "#000";

/** Lines over time, or areas on top of each other, as an SVG element. */
export function chart(lines: readonly DrawnLine[], options: ChartOptions): string {
  const { width, height, range, stacked, unit, limit } = options;
  const tops = stacked ? pile(lines, range.count) : lines.map(({ values }) => values);
  const peak = Math.max(0, ...tops.flatMap((values) => values.filter((value) => value !== undefined)));
  // A limit far above everything would press the lines flat: then it is only named.
  const shown = limit && limit.value <= Math.max(peak * 2.5, 1e-9) ? limit : undefined;
  const ticks = ticksUpTo(options.max ?? Math.max(peak, shown?.value ?? 0));
  const highest = ticks.at(-1) ?? 1;
  const plot = { width: width - MARGIN.left - MARGIN.right, height: height - MARGIN.top - MARGIN.bottom };
  // Points stand in the middle of their period.
  const x = (index: number) => round(MARGIN.left + ((index + 0.5) / range.count) * plot.width);
  const y = (value: number) =>
    round(MARGIN.top + plot.height - (Math.min(value, highest) / highest) * plot.height);
  const parts = [grid(ticks, y, width), timeAxis(range, plot.width, height)];
  if (stacked) {
    for (const [at, line] of [...lines.entries()].reverse()) {
      parts.push(area(tops[at - 1], tops[at] ?? [], x, y, colorOf(line, at)));
    }
  } else {
    lines.forEach((line, at) => {
      parts.push(path(line.values, x, y, colorOf(line, at)));
    });
  }
  if (shown) parts.push(limitLine(shown, y, width));
  const note = limit && !shown ? ` (${limit.label} at ${short(limit.value)})` : "";
  return `<svg viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img"><text x="${MARGIN.left}" y="10" class="unit">${escapeXml(unit + note)}</text>${parts.join("")}</svg>`;
}

/** Each line on top of those before it; nothing counts as 0 where another has something. */
function pile(lines: readonly DrawnLine[], count: number): Values[] {
  const sums = new Array<number>(count).fill(0);
  const some = Array.from({ length: count }, (_, at) => lines.some(({ values }) => values[at] !== undefined));
  return lines.map(({ values }) =>
    sums.map((sum, at) => {
      sums[at] = sum + (values[at] ?? 0);
      return some[at] ? sums[at] : undefined;
    }),
  );
}

function ticksUpTo(most: number): number[] {
  const target = most > 0 ? most : 1;
  const rough = target / Y_TICKS;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].map((factor) => factor * power).find((size) => size >= rough) ?? 10 * power;
  const count = Math.max(1, Math.ceil(target / step - 1e-9));
  return Array.from({ length: count + 1 }, (_, at) => at * step);
}

function grid(ticks: readonly number[], y: (value: number) => number, width: number): string {
  return ticks
    .map((tick) => {
      const at = y(tick);
      return `<line x1="${MARGIN.left}" x2="${width - MARGIN.right}" y1="${at}" y2="${at}" stroke="${tick === 0 ? INK.axis : INK.grid}"/><text x="${MARGIN.left - 6}" y="${at + 3.5}" class="tick" text-anchor="end">${short(tick)}</text>`;
    })
    .join("");
}

function timeAxis({ start, periodMs, count }: Range, plotWidth: number, height: number): string {
  const ticks = Math.max(1, Math.floor(plotWidth / X_TICK_WIDTH));
  return Array.from({ length: ticks + 1 }, (_, at) => {
    const share = at / ticks;
    const anchor = at === 0 ? "start" : at === ticks ? "end" : "middle";
    const time = new Date(start + share * periodMs * count).toISOString().slice(11, 19);
    return `<text x="${round(MARGIN.left + share * plotWidth)}" y="${height - 5}" class="tick" text-anchor="${anchor}">${time}</text>`;
  }).join("");
}

/** Stretches between gaps; a point without neighbours is a dot, or nobody would see it. */
function path(
  values: Values,
  x: (at: number) => number,
  y: (value: number) => number,
  color: string,
): string {
  return runsOf(values)
    .map((run) => {
      const points = run.map(({ at, value }) => `${x(at)},${y(value)}`);
      if (points.length > 1) {
        return `<polyline points="${points.join(" ")}" fill="none" stroke="${color}" stroke-width="1.8" stroke-linejoin="round"/>`;
      }
      const [cx, cy] = (points[0] ?? "").split(",");
      return `<circle cx="${cx}" cy="${cy}" r="2.4" fill="${color}"/>`;
    })
    .join("");
}

function area(
  below: Values | undefined,
  top: Values,
  x: (at: number) => number,
  y: (value: number) => number,
  color: string,
): string {
  return runsOf(top)
    .map((run) => {
      // A lonely point gets its period's width.
      const spread = run.length === 1 ? 0.3 : 0;
      const first = run[0]?.at ?? 0;
      const last = run.at(-1)?.at ?? 0;
      const sides = (at: number) =>
        spread === 0 ? [at] : at === first && at === last ? [at - spread, at + spread] : [at];
      const upper = run.flatMap(({ at, value }) => sides(at).map((place) => `${x(place)},${y(value)}`));
      const lower = run
        .flatMap(({ at }) => sides(at).map((place) => `${x(place)},${y(below?.[at] ?? 0)}`))
        .reverse();
      return `<polygon points="${[...upper, ...lower].join(" ")}" fill="${color}" fill-opacity="0.82"/>`;
    })
    .join("");
}

function runsOf(values: Values): { at: number; value: number }[][] {
  const runs: { at: number; value: number }[][] = [];
  let run: { at: number; value: number }[] = [];
  for (const [at, value] of values.entries()) {
    if (value === undefined) {
      if (run.length > 0) runs.push(run);
      run = [];
    } else run.push({ at, value });
  }
  return run.length > 0 ? [...runs, run] : runs;
}

function limitLine(
  { label, value }: { label: string; value: number },
  y: (value: number) => number,
  width: number,
): string {
  const at = y(value);
  return `<line x1="${MARGIN.left}" x2="${width - MARGIN.right}" y1="${at}" y2="${at}" stroke="${INK.limit}" stroke-dasharray="5 4"/><text x="${width - MARGIN.right}" y="${at - 4}" class="tick" fill="${INK.limit}" text-anchor="end">${escapeXml(label)} ${short(value)}</text>`;
}

/** 1234567 as 1.23M; three digits that mean something. */
export function short(value: number): string {
  const size = Math.abs(value);
  for (const [limit, letter] of [
    [1e9, "G"],
    [1e6, "M"],
    [1e3, "k"],
  ] as const) {
    if (size >= limit) return `${trim(value / limit)}${letter}`;
  }
  if (size !== 0 && size < 0.001) return value.toExponential(1).replace("e-", "e−");
  return trim(value);
}

const trim = (value: number) => String(Number(value.toPrecision(3)));
const round = (value: number) => Math.round(value * 10) / 10;

export const escapeXml = (text: string) =>
  text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;");
