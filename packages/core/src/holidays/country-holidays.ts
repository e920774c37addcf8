import type Holidays from "date-holidays";
import type { HolidaysTypes } from "date-holidays";
import { AppError } from "../error.ts";
import { shorten } from "../text.ts";
import type { Holiday } from "./parse-calendar.ts";

/** A country by ISO 3166-1 alpha-2 or its name in English; of it a region by ISO 3166-2 (`ES-CT`, `CT`) or its name. */
export type HolidayPlace = { country: string; region: string | null };

export type CountryHolidays = {
  /** With a day in the span, in order of date. */
  holidays: Holiday[];
  /** Some follow the moon as it is seen: the day may be another by one. */
  areByMoon: boolean;
};

const DAY_MS = 86_400_000;
const HOUR_MS = 3_600_000;
const MAX_NAME = 200;
/** The longest that begins before a span and reaches into it. */
const LONGEST_DAYS = 31;
/** The library's Islamic calendar ends with 2076; each year that is asked for costs some 20 ms. */
const FIRST_YEAR = 1970;
const LAST_YEAR = 2076;
const MAX_YEARS = 5;

/** What people say and neither ISO nor the tables do. */
const OTHER_NAMES = { GB: "UK", US: "USA", AE: "UAE" };

/** Months of the Islamic calendar, as the rules have them. */
const BY_MOON = /\b(?:Muharram|Safar|Rabi|Jumada|Rajab|Shaban|Ramadan|Shawwal|Dhu)\b/;

/**
 * The public holidays of a country with a day in [`from`, `before`), both `YYYY-MM-DD`, by the rules of `date-holidays`:
 * nobody is asked. Names are in English, with the local one where there is one.
 * @throws AppError invalid_argument for a place that is not known, or a span that is too long or too far away
 */
export async function countryHolidays(
  place: HolidayPlace,
  from: string,
  before: string,
): Promise<CountryHolidays> {
  checkSpan(from, before);
  // A megabyte of rules and calendars: loaded when a country is first asked for.
  const { default: Rules } = await import("date-holidays");
  const index = new Rules();
  const country = findCountry(index, place.country);
  const region = place.region === null ? undefined : findRegion(index, country, place.region);
  // The days are the place's own; counted in UTC none of them has 23 or 25 hours.
  const options: HolidaysTypes.Options = { types: ["public"], timezone: "UTC" };
  const rules = region === undefined ? new Rules(country, options) : new Rules(country, region, options);
  const [language = "en"] = rules.getLanguages();
  const found = yearsOf(from, before)
    .flatMap((year) => holidaysOf(rules, year, language))
    .filter(({ date, lastDate }) => lastDate >= from && date < before);
  const holidays = found.map(({ rule: _, ...holiday }) => holiday);
  return { holidays, areByMoon: found.some(({ rule }) => BY_MOON.test(rule)) };
}

function checkSpan(from: string, before: string): void {
  const first = yearOf(from);
  const last = yearOf(dayBefore(before, 1));
  if (first < FIRST_YEAR || last > LAST_YEAR || last - first > MAX_YEARS) {
    throw new AppError(
      "invalid_argument",
      `Holidays of a country are known from ${FIRST_YEAR} to ${LAST_YEAR}, and told for ${MAX_YEARS} years at once: choose after_date and before_date closer together.`,
    );
  }
}

function yearsOf(from: string, before: string): number[] {
  const first = yearOf(dayBefore(from, LONGEST_DAYS));
  return Array.from({ length: yearOf(dayBefore(before, 1)) - first + 1 }, (_, offset) => first + offset);
}

const yearOf = (date: string) => Number(date.slice(0, 4));
const dayBefore = (date: string, days: number) => isoDate(Date.parse(date) - days * DAY_MS);
const isoDate = (at: number) => new Date(at).toISOString().slice(0, 10);

function findCountry(index: Holidays, said: string): string {
  const code = find(said, [
    index.getCountries("en"),
    index.getCountries(),
    englishNames(Object.keys(index.getCountries())),
    OTHER_NAMES,
  ]);
  if (code !== undefined) return code;
  throw new AppError(
    "invalid_argument",
    `No country called ${JSON.stringify(said)} is known: give its ISO 3166-1 alpha-2 code, such as JP, and a part of it as region.`,
  );
}

function findRegion(index: Holidays, country: string, said: string): string {
  const states = index.getStates(country, "en") ?? {};
  const name = index.getCountries("en")[country] ?? country;
  const prefix = new RegExp(`^${country}-`, "i");
  const code = find(said.trim().replace(prefix, ""), [states, index.getStates(country) ?? {}]);
  if (code !== undefined) return code;
  const known = Object.entries(states).map(([code, state]) => `${code} ${state}`);
  throw new AppError(
    "invalid_argument",
    known.length > 0
      ? `No region called ${JSON.stringify(said)} of ${name} is known. Its regions are: ${known.join(", ")}.`
      : `No regions of ${name} are known: ask without a region.`,
  );
}

/** By code or by name, in the tables' order. */
function find(said: string, tables: readonly Readonly<Record<string, string>>[]): string | undefined {
  const folded = fold(said);
  const codes = Object.keys(tables[0] ?? {});
  const code = codes.find((each) => fold(each) === folded);
  if (code !== undefined) return code;
  return tables
    .flatMap((table) => Object.entries(table))
    .find(([each, name]) => codes.includes(each) && fold(name) === folded)?.[0];
}

/** "Côte d’Ivoire" and "cote d'ivoire" are one name. */
const fold = (text: string) =>
  text
    .normalize("NFKD")
    .replace(/\p{M}+/gu, "")
    .replaceAll("’", "'")
    .toLowerCase()
    .trim();

function englishNames(codes: readonly string[]): Record<string, string> {
  const names = new Intl.DisplayNames("en", { type: "region" });
  return Object.fromEntries(codes.map((code) => [code, names.of(code) ?? ""]));
}

function holidaysOf(rules: Holidays, year: number, language: string): (Holiday & { rule: string })[] {
  // Named each time: the language of one call is the default of the next.
  const local = new Map(rules.getHolidays(year, language).map((each) => [keyOf(each), each.name]));
  return rules.getHolidays(year, "en").map((each) => {
    const date = each.date.slice(0, 10);
    // Some end at noon of a day that is not theirs any more.
    const days = Math.max(1, Math.floor((each.end.getTime() - each.start.getTime()) / HOUR_MS / 24));
    const lastDate = isoDate(Date.parse(date) + (days - 1) * DAY_MS);
    return { date, lastDate, name: nameOf(each, local.get(keyOf(each))), rule: each.rule };
  });
}

const keyOf = ({ date, rule }: HolidaysTypes.Holiday) => `${date} ${rule}`;

/** In English, in the country's own language where that is another, and the hour where it is not the whole day. */
function nameOf({ name, date }: HolidaysTypes.Holiday, local: string | undefined): string {
  const both = local === undefined || local === name ? name : `${name} (${local})`;
  const time = date.slice(11, 16);
  return shorten(time === "00:00" ? both : `${both}, from ${time}`, MAX_NAME);
}
