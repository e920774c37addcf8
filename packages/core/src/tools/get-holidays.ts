import { AppError } from "../error.ts";
import { countryHolidays, type HolidayPlace } from "../holidays/country-holidays.ts";
import type { Holiday } from "../holidays/parse-calendar.ts";
import * as z from "../schema.ts";
import { defineTool, type ToolDependencies } from "./tool.ts";

const MAX_HOLIDAYS = 100;
const DAY_MS = 86_400_000;

const MAX_PLACE = 100;
const BY_MOON = "Note: holidays of the Islamic calendar may be a day earlier or later, as the moon is seen.";

const place = () => z.string().check(z.trim(), z.minLength(1), z.maxLength(MAX_PLACE));

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
      "Lists public holidays in order of date, one a line: of any country, or without one of the configured calendar. Without dates: those of the coming year.",
    parameters: z.object({
      before_date: date("before"),
      after_date: date("on or after"),
      max_count: z
        .nullable(z.int().check(z.minimum(1), z.maximum(MAX_HOLIDAYS)))
        .check(z.describe("At most so many; null for all")),
      country: z
        .nullable(place())
        .check(
          z.describe(
            "ISO 3166-1 alpha-2 code, such as JP, when the user means a country; null for the configured calendar",
          ),
        ),
      region: z
        .nullable(place())
        .check(
          z.describe(
            "ISO 3166-2 code, such as ES-CT, for the holidays of a part of the country as well; null for the whole",
          ),
        ),
    }),
    async execute({ before_date, after_date, max_count, country, region }, { deadline }) {
      const today = isoDate(clock.now());
      const before = parseBefore(before_date);
      const from =
        parseDate("after_date", after_date) ?? (before && before <= today ? yearFrom(before, -1) : today);
      if (before && before <= from) {
        throw new AppError("invalid_argument", "after_date must be earlier than before_date.");
      }
      const until = before ?? yearFrom(from, 1);
      const where = placeOf(country, region);
      const { holidays: found, areByMoon } = where
        ? await countryHolidays(where, from, until)
        : { holidays: await holidays.between(from, until, deadline), areByMoon: false };
      const lines = found.slice(0, max_count ?? found.length).map(describe);
      if (lines.length === 0) return "The calendar has no holidays in that span.";
      return [...lines, ...(areByMoon ? [BY_MOON] : [])].join("\n");
    },
  });

/** The country that was named, if only by its region's code; without either, the configured calendar is meant. */
function placeOf(country: string | null, region: string | null): HolidayPlace | undefined {
  if (country !== null) return { country, region };
  if (region === null) return undefined;
  const [, code] = /^([a-z]{2})-./i.exec(region) ?? [];
  if (code === undefined) throw new AppError("invalid_argument", "Say in which country the region lies.");
  return { country: code, region };
}

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
