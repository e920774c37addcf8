/** One metric of one EMF line, with one of its dimension sets: what CloudWatch makes of it. */
export type Datum = {
  namespace: string;
  name: string;
  unit: string;
  dimensions: Readonly<Record<string, string>>;
  values: number[];
  /** Epoch milliseconds. */
  at: number;
};

export type EmfDocument = {
  _aws: {
    Timestamp: number;
    CloudWatchMetrics: {
      Namespace: string;
      Dimensions: string[][];
      Metrics: { Name: string; Unit?: string }[];
    }[];
  };
  [target: string]: unknown;
};

/** The document in a line of a function's output; undefined in any other line. */
export function parseEmf(line: string): EmfDocument | undefined {
  if (!line.startsWith("{") || !line.includes('"_aws"')) return undefined;
  const document = JSON.parse(line) as Partial<EmfDocument>;
  return document._aws?.CloudWatchMetrics ? (document as EmfDocument) : undefined;
}

export function dataOf(document: EmfDocument): Datum[] {
  const { Timestamp: at, CloudWatchMetrics } = document._aws;
  return CloudWatchMetrics.flatMap(({ Namespace: namespace, Dimensions, Metrics }) =>
    Dimensions.flatMap((names) => {
      const dimensions = Object.fromEntries(names.map((name) => [name, String(document[name])]));
      return Metrics.map(({ Name: name, Unit: unit = "None" }) => {
        const values = [document[name]].flat().map(Number);
        return { namespace, name, unit, dimensions, values, at };
      });
    }),
  );
}
