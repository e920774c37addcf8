import type { Datum } from "./emf.ts";

/** Points of equal length from `start` on, in milliseconds; what is outside is not looked at. */
export type Range = { start: number; periodMs: number; count: number };

/** A value a point; undefined where there is none. */
export type Values = (number | undefined)[];

export type Selected = {
  namespace: string;
  name: string;
  dimensions: Readonly<Record<string, string>>;
};

/** The metrics of a local run, read as CloudWatch reads them: by exact name and exact dimensions. */
export class MetricStore {
  readonly #series = new Map<string, { selected: Selected; data: Datum[] }>();

  add(data: readonly Datum[]): void {
    for (const datum of data) {
      const { namespace, name, dimensions } = datum;
      const key = keyOf(datum);
      const known = this.#series.get(key);
      if (known) known.data.push(datum);
      else this.#series.set(key, { selected: { namespace, name, dimensions }, data: [datum] });
    }
  }

  all(): Selected[] {
    return [...this.#series.values()].map(({ selected }) => selected);
  }

  has(selected: Selected): boolean {
    return this.#series.has(keyOf(selected));
  }

  /** The statistic of each point: Sum, Average, Minimum, Maximum, SampleCount or a percentile such as p99.9. */
  read(selected: Selected, stat: string, { start, periodMs, count }: Range): Values {
    const points: number[][] = Array.from({ length: count }, () => []);
    for (const { at, values } of this.#series.get(keyOf(selected))?.data ?? []) {
      points[Math.floor((at - start) / periodMs)]?.push(...values);
    }
    return points.map((values) => (values.length > 0 ? statistic(values, stat) : undefined));
  }
}

function keyOf({ namespace, name, dimensions }: Selected): string {
  const sorted = Object.entries(dimensions).sort(([a], [b]) => (a < b ? -1 : 1));
  return JSON.stringify([namespace, name, sorted]);
}

export function statistic(values: readonly number[], stat: string): number {
  const sum = values.reduce((total, value) => total + value, 0);
  switch (stat) {
    case "Sum":
      return sum;
    case "Average":
      return sum / values.length;
    case "Minimum":
      return values.reduce((least, value) => Math.min(least, value));
    case "Maximum":
      return values.reduce((most, value) => Math.max(most, value));
    case "SampleCount":
      return values.length;
  }
  const share = /^p(\d{1,2}(?:\.\d+)?|100)$/.exec(stat)?.[1];
  if (share === undefined) throw new Error(`there is no statistic ${stat}`);
  return percentile(values, Number(share) / 100);
}

/** Between the two values around that share of them, in proportion. */
function percentile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  const place = share * (sorted.length - 1);
  const below = sorted[Math.floor(place)] ?? Number.NaN;
  const above = sorted[Math.ceil(place)] ?? Number.NaN;
  return below + (above - below) * (place - Math.floor(place));
}
