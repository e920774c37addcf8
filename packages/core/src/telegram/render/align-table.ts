import { displayWidth } from "./display-width.ts";

export type Alignment = "left" | "right" | "center" | null | undefined;

/** A wider cell pushes the rest of its own row alone: a phone shows some 40 columns. */
const MAX_COLUMN = 32;

/** Rows of single-line cells, the header first, as monospaced text whose columns line up. */
export function alignTable(rows: readonly (readonly string[])[], alignments: readonly Alignment[]): string {
  const cells = rows.map((row) => row.map((text) => ({ text, width: displayWidth(text) })));
  const columns: number[] = [];
  for (const row of cells) {
    for (const [index, { width }] of row.entries()) {
      columns[index] = Math.max(columns[index] ?? 1, Math.min(width, MAX_COLUMN));
    }
  }
  const lines = cells.map((row) =>
    row
      .map(({ text, width }, index) => pad(text, (columns[index] ?? 0) - width, alignments[index]))
      .join(" | "),
  );
  const rule = columns.map((width) => "-".repeat(width)).join("-+-");
  return lines
    .toSpliced(1, 0, rule)
    .map((line) => line.trimEnd())
    .join("\n");
}

function pad(text: string, missing: number, alignment: Alignment): string {
  const spaces = Math.max(0, missing);
  const before = alignment === "right" ? spaces : alignment === "center" ? Math.floor(spaces / 2) : 0;
  return " ".repeat(before) + text + " ".repeat(spaces - before);
}
