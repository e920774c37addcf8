import { type Attempt, type DrillTurn, isAnswer } from "./traffic.ts";

const COLUMNS = [
  "fault",
  "struck",
  "turns",
  "at once",
  "after errors",
  "errors",
  "worst ms",
  "worst attempt",
  "holds",
];
const WIDTHS = [22, 6, 6, 8, 13, 9, 14, 6, 0];

const line = (cells: readonly (string | number)[]) =>
  cells
    .map((cell, at) =>
      at === 0 ? String(cell).padEnd(WIDTHS[at] ?? 0) : String(cell).padStart(WIDTHS[at] ?? 0),
    )
    .join(" ");

export const heading = () => line(COLUMNS);

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
  return line([
    ...[
      fault,
      struck ?? "all",
      turns.length,
      answered.length - hadErrors.length,
      hadErrors.length,
      failures.length,
    ],
    ...[Math.round(worst), Math.round(attempt), holds ? "yes" : "NO", ` ${kindsOf(failures)}`],
  ]);
}

/** How often each code was answered, and how often nothing was. */
function kindsOf(failures: readonly Attempt[]): string {
  const kinds = Map.groupBy(failures, ({ outcome, body }) =>
    body === undefined ? outcome.kind : (JSON.parse(body) as { code: string }).code,
  );
  return [...kinds].map(([kind, { length }]) => `${length} ${kind}`).join(", ");
}
