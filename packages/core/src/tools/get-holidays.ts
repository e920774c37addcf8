import { AppError } from "../error.ts";
import type { Holiday } from "../holidays/parse-calendar.ts";
import * as z from "../schema.ts";
import { defineTool, type ToolDependencies } from "./tool.ts";

const MAX_HOLIDAYS = 100;
const DAY_MS = 86_400_000;

const date = (which: string) =>
  z
    .nullable(z.string())
    .check(
      z.describe(
        `Only holidays ${which} this date: RFC 3339 such as 2026-12-31 or 2026-12-31T00:00:00Z; null for no limit`,
      ),
    );

export const getHolidays = ({ clock, holidays }: Pick<ToolDependencies, "clock" | "holidays">) =>
  defineTool({
    name: "get_holidays",
    description:
      "Lists public holidays of the configured calendar in order of date, one a line. Without dates: those of the coming year.",
    parameters: z.object({
      before_date: date("before"),
      after_date: date("on or after"),
      max_count: z
        .nullable(z.int().check(z.minimum(1), z.maximum(MAX_HOLIDAYS)))
        .check(z.describe("At most so many; null for all")),
    }),
    async execute({ before_date, after_date, max_count }, { deadline }) {
      const today = isoDate(clock.now());
      const before = parseBefore(before_date);
      const from =
        parseDate("after_date", after_date) ?? (before && before <= today ? yearFrom(before, -1) : today);
      if (before && before <= from) {
        throw new AppError("invalid_argument", "after_date must be earlier than before_date.");
      }
      const found = await holidays.between(from, before ?? yearFrom(from, 1), deadline);
      const lines = found.slice(0, max_count ?? found.length).map(describe);
      return lines.length > 0 ? lines.join("\n") : "The calendar has no holidays in that span.";
    },
  });

const describe = ({ date, lastDate, name }: Holiday) =>
  lastDate === date ? `${date}: ${name}` : `${date}: ${name} (until ${lastDate})`;

const isoDate = (at: number) => new Date(at).toISOString().slice(0, 10);

/** The same day `years` later; from 29 February, 1 March. */
function yearFrom(date: string, years: number): string {
  const at = new Date(`${date}T00:00:00Z`);
  at.setUTCFullYear(at.getUTCFullYear() + years);
  return isoDate(at.getTime());
}

/** Of a date-time only its date counts. */
function parseDate(field: string, text: string | null): string | undefined {
  if (text === null) return undefined;
  const date = text.slice(0, 10);
  const day = Date.parse(`${date}T00:00:00Z`);
  // For V8 30 February is 2 March.
  if (Number.isNaN(Date.parse(text)) || Number.isNaN(day) || isoDate(day) !== date) {
    throw new AppError("invalid_argument", `${field} must be an RFC 3339 date such as 2026-12-31.`);
  }
  return date;
}

/** A holiday begins with its day: before 23:59 on a day is that day too. */
function parseBefore(text: string | null): string | undefined {
  const date = parseDate("before_date", text);
  const isMidnight = !/[1-9]/.test(text?.slice(10, 19) ?? "");
  return date === undefined || isMidnight ? date : isoDate(Date.parse(date) + DAY_MS);
}
