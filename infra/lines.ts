import { type Deployment, type each, type Metric, own } from "./metrics.ts";
import { type Block, type Line, text } from "./widgets.ts";

export const COLOR = {
  good: "#2a7de1",
  better: "#7fb2f0",
  bad: "#c0362c",
  warn: "#e08a00",
  calm: "#8b95a5",
  faint: "#d0d5dd",
  green: "#2e8b57",
  violet: "#7a5cc7",
  teal: "#1a9aa0",
};

export type Row = { height: number; blocks: Block[] };
/** A part of the dashboard, with a heading that says how to read it. */
export type Section = (deployment: Deployment, alarmArns: readonly string[]) => Row[];

export const heading = (markdown: string): Row => ({ height: 2, blocks: [text(markdown)] });

/** Of tokens, which is what prices are for. */
const MILLION = 1_000_000;

export function one(label: string, metric: Metric, stat: string, color?: string): Line {
  return { metric, stat, label, ...(color && { color }) };
}

/** Only for expressions. */
export const hidden = (id: string, metric: Metric, stat: string): Line => ({
  id,
  metric,
  stat,
  label: "",
  hidden: true,
});

export const percentiles = (metric: Metric): Line[] => [
  one("p50", metric, "p50", COLOR.better),
  one("p95", metric, "p95", COLOR.good),
  one("p99", metric, "p99", COLOR.violet),
];

export function lineOf(
  { search, label }: ReturnType<typeof each>,
  { prefix = "", color }: { prefix?: string; color?: string } = {},
): Line {
  return { expression: search, label: `${prefix}${label}`, ...(color && { color }) };
}

/** The configured model's tokens, for `costOf`. */
export function tokenLines(deployment: Deployment): Line[] {
  const { model: name } = deployment;
  return [
    hidden("input", own(deployment, "ModelInputTokens", { model: name }), "Sum"),
    hidden("cached", own(deployment, "ModelCachedTokens", { model: name }), "Sum"),
    hidden("output", own(deployment, "ModelOutputTokens", { model: name }), "Sum"),
  ];
}

/** Of a period, in US dollars: cached tokens are part of the input, at a price of their own. */
export function costOf({ price }: Pick<Deployment, "price">): string {
  if (!price) throw new Error("there is no price to reckon with");
  return `((input - cached) * ${price.input} + cached * ${price.cached} + output * ${price.output}) / ${MILLION}`;
}
