import { type Attempt, type DrillTurn, isAnswer } from "./traffic.ts";

/** With their widths; the first from the left. */
const COLUMNS = [
  ["fault", 23],
  ["struck", 6],
  ["turns", 5],
  ["at once", 7],
  ["after errors", 12],
  ["worst ms", 8],
  ["worst attempt", 13],
  ["holds", 5],
] as const;

const line = (cells: readonly (string | number)[], rest: string) => {
  const padded = COLUMNS.map(([, width], at) => {
    const cell = String(cells[at]);
    return at === 0 ? cell.padEnd(width) : cell.padStart(width);
  });
  return `${padded.join("  ")}  ${rest}`.trimEnd();
};

export const heading = () =>
  line(
    COLUMNS.map(([name]) => name),
    "errors",
  );

type Row = {
  fault: string;
  /** Requests; undefined where it is nothing that happens to requests. */
  struck: number | undefined;
  turns: readonly DrillTurn[];
  holds: boolean;
};

/** What became of the turns that were said under a fault. */
export function rowOf({ fault, struck, holds, turns: all }: Row): string {
  const turns = all.filter((turn) => turn.fault === fault);
  const answered = turns.filter(({ answeredAt }) => answeredAt !== undefined);
  const failures = turns.flatMap(({ attempts }) => attempts.filter((attempt) => !isAnswer(attempt)));
  const hadErrors = answered.filter(({ attempts }) => attempts.length > 1);
  const worst = Math.max(0, ...answered.map(({ saidAt, answeredAt = 0 }) => answeredAt - saidAt));
  const attempt = Math.max(0, ...turns.flatMap(({ attempts }) => attempts.map(({ ms }) => ms)));
  const cells = [
    ...[fault, struck ?? "-", turns.length, answered.length - hadErrors.length, hadErrors.length],
    ...[Math.round(worst), Math.round(attempt), holds ? "yes" : "NO"],
  ];
  return line(cells, kindsOf(failures));
}

/** How often each code was answered, and how often nothing was. */
function kindsOf(failures: readonly Attempt[]): string {
  const kinds = Map.groupBy(failures, ({ outcome, body }) =>
    body === undefined ? outcome.kind : (JSON.parse(body) as { code: string }).code,
  );
  return [...kinds].map(([kind, { length }]) => `${length} ${kind}`).join(", ");
}
