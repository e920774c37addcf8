import { styleText } from "node:util";
import type { PartSummary } from "./part.ts";

/** The start-up table: which part is real, which is local, and what it is. Ends in a line break. */
export function banner(
  summary: readonly PartSummary[],
  startedInMs: number,
  stream: NodeJS.WriteStream,
): string {
  const style = (format: Parameters<typeof styleText>[0], text: string) =>
    styleText(format, text, { stream });
  const width = Math.max(...summary.map(({ part }) => part.length));
  const rows = summary.map(({ part, kind, what }) => {
    const mark = style(kind === "real" ? "green" : "yellow", kind.padEnd(5));
    return `  ${part.padEnd(width)}  ${mark}  ${what}\n`;
  });
  const title = `${style("bold", "Parley")}, ready in ${(startedInMs / 1000).toFixed(1)} s\n`;
  return `${title}\n${rows.join("")}\n`;
}
