import { chart, colorOf, escapeXml, short } from "./chart.ts";
import { type DrawnLine, linesOf, type MetricEntry, missingOf } from "./dashboard.ts";
import type { MetricStore, Range } from "./store.ts";

type Place = { x: number; y: number; width: number; height: number };
type Properties = {
  title?: string;
  markdown?: string;
  alarms?: readonly string[];
  view?: string;
  stacked?: boolean;
  setPeriodToTimeRange?: boolean;
  metrics?: readonly MetricEntry[];
  yAxis?: { left?: { label?: string; max?: number } };
  annotations?: { horizontal: readonly { label: string; value: number }[] };
};
export type PageWidget = Place & { type: string; properties: Properties };

export type AlarmState = { state: "ok" | "alarm" | "unknown"; note: string };

export type PageOptions = {
  title: string;
  widgets: readonly PageWidget[];
  store: MetricStore;
  range: Range;
  /** By the alarm's ARN, as the dashboard lists them. */
  alarmStates: ReadonlyMap<string, AlarmState>;
  /** What the page is of, under its title. */
  note: string;
};

/** Of a page of 24 columns, in pixels. */
const COLUMN = 68;
const ROW = 44;
const GAP = 8;
const PADDING = 20;
const LEGEND = 40;
const TITLE = 24;

const STYLE = `
*{box-sizing:border-box}
body{margin:0;background:#f3f5f8;color:#1d2430;font:13px/1.4 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,"DejaVu Sans",sans-serif}
main{position:relative;margin:0 auto}
.note{margin:0 auto;padding:12px 24px 0;color:#5b6472;font-size:12.5px}
.widget{position:absolute;overflow:hidden}
.card{background:#fff;border:1px solid #dfe3ea;border-radius:6px;padding:8px 10px 4px}
.card h3{margin:0;font-size:13px;font-weight:600;white-space:nowrap;overflow:hidden;text-overflow:ellipsis}
.text{padding:0 4px 8px;display:flex;flex-direction:column;justify-content:flex-end}
.text h1{margin:0 0 2px;font-size:22px}.text h2{margin:4px 0 2px;font-size:17px}.text h3{margin:0;font-size:13px}
.text p{margin:0;color:#3c4657}
code{background:#e9edf3;border-radius:3px;padding:0 3px;font-size:12px}
.unit,.tick{font-size:10.5px;fill:#5b6472}
.legend{display:flex;flex-wrap:wrap;gap:0 12px;height:${LEGEND - 4}px;overflow:hidden;align-content:flex-start;font-size:11.5px;line-height:17px;color:#3c4657}
.legend i{display:inline-block;width:9px;height:9px;border-radius:2px;margin-right:5px}
.numbers{display:flex;height:calc(100% - 24px);align-items:center;gap:18px}
.number{font-size:32px;font-weight:650;line-height:1.15;letter-spacing:-.01em}
.number small{font-size:12px;font-weight:400;color:#5b6472;margin-left:6px;letter-spacing:0}
.empty{display:flex;align-items:center;justify-content:center;height:calc(100% - 30px);color:#8b95a5;text-align:center;padding:0 14px}
.alarms{display:flex;flex-wrap:wrap;gap:6px 8px;padding-top:6px}
.alarm{border-radius:10px;padding:1px 10px;font-size:12px;border:1px solid;white-space:nowrap}
.ok{color:#1f6b43;border-color:#a9d6bd;background:#edf8f1}
.alarm.raised{color:#a32920;border-color:#eba9a3;background:#fdf0ee;font-weight:600}
.unknown{color:#5b6472;border-color:#d5dae2;background:#f6f7f9}
`;

/** A CloudWatch dashboard with the metrics of a local run, as one HTML page that loads nothing. */
export function renderPage(options: PageOptions): string {
  const { title, widgets, note } = options;
  const width = 24 * COLUMN + 2 * PADDING;
  const bottom = Math.max(0, ...widgets.map(({ y, height }) => y + height));
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>${escapeXml(title)}</title><style>${STYLE}</style></head>
<body><p class="note" style="width:${width}px">${escapeXml(note)}</p>
<main style="width:${width}px;height:${bottom * ROW + PADDING}px">
${widgets.map((widget) => place(widget, content(widget, options))).join("\n")}
</main></body></html>
`;
}

function place({ x, y, width, height, type }: PageWidget, html: string): string {
  const left = PADDING + x * COLUMN + GAP / 2;
  const style = `left:${left}px;top:${y * ROW + GAP / 2}px;width:${width * COLUMN - GAP}px;height:${height * ROW - GAP}px`;
  return `<section class="widget ${type === "text" ? "text" : "card"}" style="${style}">${html}</section>`;
}

function content(widget: PageWidget, options: PageOptions): string {
  const { type, properties } = widget;
  if (type === "text") return markdown(properties.markdown ?? "");
  const heading = `<h3>${escapeXml(properties.title ?? "")}</h3>`;
  if (type === "alarm") return heading + alarmList(properties.alarms ?? [], options);
  if (properties.view === "singleValue") return heading + singleValue(properties, options);
  return heading + timeSeries(widget, options);
}

/** Headings, paragraphs, bold and code: what the dashboard's texts use. */
function markdown(text: string): string {
  const inline = (line: string) =>
    escapeXml(line)
      .replaceAll(/\*\*(.+?)\*\*/g, "<b>$1</b>")
      .replaceAll(/`(.+?)`/g, "<code>$1</code>");
  return text
    .split("\n")
    .filter(Boolean)
    .map((line) => {
      const [, marks, words] = /^(#{1,3}) (.*)$/.exec(line) ?? [];
      return marks ? `<h${marks.length}>${inline(words ?? "")}</h${marks.length}>` : `<p>${inline(line)}</p>`;
    })
    .join("");
}

function alarmList(arns: readonly string[], { alarmStates }: PageOptions): string {
  const chips = arns.map((arn) => {
    const name = arn.split(":").at(-1) ?? arn;
    const { state, note } = alarmStates.get(arn) ?? { state: "unknown", note: "" };
    const style = state === "alarm" ? "alarm raised" : `alarm ${state}`;
    return `<span class="${style}">${escapeXml(name)}${note ? ` (${escapeXml(note)})` : ""}</span>`;
  });
  return `<div class="alarms">${chips.join("")}</div>`;
}

function singleValue({ metrics = [] }: Properties, { store, range }: PageOptions): string {
  const whole = { start: range.start, periodMs: range.periodMs * range.count, count: 1 };
  const numbers = linesOf(metrics, store, whole)
    .map(({ label, values, color }) => {
      const [value] = values;
      const shown = value === undefined ? "–" : short(value);
      const style = color && value !== undefined && value > 0 ? ` style="color:${color}"` : "";
      return `<div class="number"${style}>${shown}<small>${escapeXml(label)}</small></div>`;
    })
    .join("");
  return `<div class="numbers">${numbers}</div>`;
}

function timeSeries({ width, height, properties }: PageWidget, { store, range }: PageOptions): string {
  const { metrics = [], stacked = false, yAxis, annotations } = properties;
  const lines = linesOf(metrics, store, range);
  const drawn = lines.filter(({ values }) => values.some((value) => value !== undefined));
  if (drawn.length === 0) return `<div class="empty">${escapeXml(emptiness(metrics, store))}</div>`;
  const svg = chart(drawn, {
    width: width * COLUMN - GAP - 22,
    height: height * ROW - GAP - LEGEND - TITLE - 8,
    range,
    stacked,
    unit: yAxis?.left?.label ?? "",
    max: yAxis?.left?.max,
    limit: annotations?.horizontal[0],
  });
  return `${svg}<div class="legend">${legend(drawn)}</div>`;
}

const legend = (lines: readonly DrawnLine[]) =>
  lines
    .map((line, at) => `<span><i style="background:${colorOf(line, at)}"></i>${escapeXml(line.label)}</span>`)
    .join("");

function emptiness(metrics: readonly MetricEntry[], store: MetricStore): string {
  const missing = missingOf(metrics, store);
  const foreign = [...new Set(missing.map(({ namespace }) => namespace))].filter((name) =>
    name.startsWith("AWS/"),
  );
  return foreign.length > 0
    ? `Measured by AWS (${foreign.join(", ")}): no local source`
    : "Nothing to count in this run";
}
