export type Table = { title: string; rows: string[][] };

export function print({ title, rows }: Table): void {
  const widths = rows[0]?.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0))) ?? [];
  const lines = rows.map(
    (row) =>
      `  ${row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join("  ")
        .trimEnd()}`,
  );
  process.stdout.write(`${title}\n${lines.join("\n")}\n\n`);
}

export const VERDICTS = ["measured", "holds", "excellent", ""];

/** A row under VERDICTS: what was measured beside what it may be. */
export function verdict(
  name: string,
  measured: number,
  { holds, excellent, unit, digits = 0 }: { holds: number; excellent: number; unit: string; digits?: number },
): string[] {
  const show = (value: number) => `${value.toFixed(digits)}${unit}`;
  const word = measured <= excellent ? "kept, excellent" : measured <= holds ? "kept" : "MISSED";
  return [name, show(measured), show(holds), show(excellent), word];
}

export function median(numbers: readonly number[]): number {
  const sorted = numbers.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}

export const kilobytes = (bytes: number) => (bytes / 1000).toFixed(0);
