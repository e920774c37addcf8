import { addDays, WEEKDAYS, weekday } from "../../local-time.ts";

/** A time as it was said; days count from the local today, `after` counts whole weeks, months or years from this one. */
export type When =
  | { kind: "now" }
  | { kind: "days"; from: number; count: number }
  | { kind: "week" | "weekend"; after: number }
  | { kind: "weekday"; day: number; after: number }
  | { kind: "date"; month: number; day: number; year?: number }
  | { kind: "month"; after: number; month?: number; year?: number }
  | { kind: "year"; after: number; year?: number };

/** Both days are included. */
export type Span = { from: string; to: string };

const NUMBERS = "zero one two three four five six seven eight nine ten".split(" ");
const MONTHS = "january february march april may june july august september october november december".split(
  " ",
);
const WEEKDAY_NAMES = WEEKDAYS.map((name) => name.toLowerCase());

const N = `(\\d{1,3}|an?|few|couple of|${NUMBERS.join("|")})`;
const NEXT_N = `(?:(?:in|for|over|during|of) )?(?:the )?(?:next|coming|following) ${N}`;
const MONTH = `(${MONTHS.join("|")})`;
const DAY = "(\\d{1,2})(?:st|nd|rd|th)?";
const YEAR = "((?:19|20)\\d\\d)";
// "May" and "March" are words too: without something before them they are no months.
const PLAIN_MONTH = `(${MONTHS.filter((name) => name !== "may" && name !== "march").join("|")})`;
const DURING = "(?:in|during|for|of|this|next|since|until)";

/** In order: the first pattern that matches says what is meant. */
const PATTERNS: readonly (readonly [pattern: string, read: (said: string, ...groups: string[]) => When])[] = [
  ["(?:on )?(?:the )?day after tomorrow", () => days(2, 1)],
  ["(?:on |for )?(?:tomorrow|tmrw)(?:'s)?(?: morning| afternoon| evening| night)?", () => days(1, 1)],
  ["yesterday(?:'s)?", () => days(-1, 1)],
  ["right now|currently|at the moment|at present|now", () => ({ kind: "now" })],
  ["(?:later |for )?(?:today|tonight)(?:'s)?|this (?:morning|afternoon|evening)", () => days(0, 1)],
  [`${NEXT_N} days?`, (_, n) => days(0, count(n))],
  [`${NEXT_N} weeks?`, (_, n) => days(0, 7 * count(n))],
  [`${NEXT_N} months?`, (_, n) => days(0, 30 * count(n))],
  [`(?:in|within) ${N} days?(?:'? time)?`, (_, n) => days(count(n), 1)],
  [`(?:in|within) ${N} weeks?(?:'? time)?`, (_, n) => days(7 * count(n), 1)],
  [`(?:for )?(?:the )?${N}[- ]days?(?= forecast\\b|$)`, (_, n) => days(0, count(n))],
  [
    "(?:(?:on|at|for|over|this|the|next|coming) )*weekend",
    (said) => ({ kind: "weekend", after: after(said) }),
  ],
  [
    "(?:(?:for|over|during|rest of|in) )*(?:(?:this|the|next|coming) )+week",
    (said) => ({ kind: "week", after: after(said) }),
  ],
  [
    `(?:(?:on|for|this|next|coming) )*(${WEEKDAY_NAMES.join("|")})(?:'s)?`,
    (said, name) => ({ kind: "weekday", day: WEEKDAY_NAMES.indexOf(name.toLowerCase()), after: after(said) }),
  ],
  [`(?:on )?${YEAR}-(\\d\\d)-(\\d\\d)`, (_, y, m, d) => date(Number(d), Number(m), y)],
  [
    `(?:on )?(?:the )?${DAY} (?:of )?${MONTH}(?:,? ${YEAR})?`,
    (_, d, m, y) => date(Number(d), monthNumber(m), y),
  ],
  [`(?:on )?${MONTH} (?:the )?${DAY}(?:,? ${YEAR})?`, (_, m, d, y) => date(Number(d), monthNumber(m), y)],
  [`${DURING} ${MONTH}(?: (?:of )?${YEAR})?`, (_, m, y) => month(m, y)],
  [`${PLAIN_MONTH}(?: (?:of )?${YEAR})?`, (_, m, y) => month(m, y)],
  ["(?:in |of )?(?:this|next|last) month", (said) => ({ kind: "month", after: after(said) })],
  ["(?:in |of )?(?:this|next|last) year", (said) => ({ kind: "year", after: after(said) })],
  [`${DURING} ${YEAR}`, (_, y) => ({ kind: "year", after: 0, year: Number(y) })],
];

const COMPILED = PATTERNS.map(([pattern, read]) => ({
  pattern: new RegExp(`(?<![\\p{L}\\p{N}])(?:${pattern})(?![\\p{L}\\p{N}])`, "iu"),
  read,
}));

/** The first time said in a clause, and the clause without it. */
export function findWhen(clause: string): { when?: When; rest: string } {
  for (const { pattern, read } of COMPILED) {
    const match = pattern.exec(clause);
    if (match === null) continue;
    const rest = `${clause.slice(0, match.index)} ${clause.slice(match.index + match[0].length)}`;
    return { when: read(match[0], ...match.slice(1)), rest: rest.trim() };
  }
  return { rest: clause };
}

/** The days that are meant when today is `today`. A month or date without a year is the next one. */
export function toSpan(when: When, today: string): Span {
  const year = Number(today.slice(0, 4));
  switch (when.kind) {
    case "now":
      return { from: today, to: today };
    case "days":
      return spanOf(addDays(today, when.from), when.count);
    case "weekend":
      return weekend(today, when.after);
    case "week":
      return week(today, when.after);
    case "weekday": {
      const ahead = (when.day - weekday(today) + 7) % 7;
      return spanOf(addDays(today, ahead === 0 ? 7 * when.after : ahead), 1);
    }
    case "date": {
      const here = isoDate(when.year ?? year, when.month, when.day);
      return spanOf(
        when.year === undefined && here < today ? isoDate(year + 1, when.month, when.day) : here,
        1,
      );
    }
    case "month": {
      const thisMonth = Number(today.slice(5, 7));
      const first = when.month ?? thisMonth + when.after;
      const of = when.year ?? (when.month !== undefined && when.month < thisMonth ? year + 1 : year);
      return { from: isoDate(of, first, 1), to: isoDate(of, first + 1, 0) };
    }
    case "year": {
      const of = when.year ?? year + when.after;
      return { from: `${of}-01-01`, to: `${of}-12-31` };
    }
  }
}

function weekend(today: string, weeks: number): Span {
  const isSunday = weekday(today) === 0;
  const saturday = addDays(today, (isSunday ? -1 : 6 - weekday(today)) + 7 * weeks);
  return isSunday && weeks === 0 ? spanOf(today, 1) : spanOf(saturday, 2);
}

/** Weeks end on Sunday; this one begins today. */
function week(today: string, weeks: number): Span {
  const sunday = addDays(today, (7 - weekday(today)) % 7);
  if (weeks === 0) return { from: today, to: sunday };
  return spanOf(addDays(sunday, 7 * weeks - 6), 7);
}

function spanOf(from: string, length: number): Span {
  return { from, to: addDays(from, Math.max(1, length) - 1) };
}

/** Months and days out of range roll over, as in `Date.UTC`. */
function isoDate(year: number, monthOfYear: number, day: number): string {
  return new Date(Date.UTC(year, monthOfYear - 1, day)).toISOString().slice(0, 10);
}

function days(from: number, length: number): When {
  return { kind: "days", from, count: length };
}

function date(day: number, monthOfYear: number, year: string | undefined): When {
  return { kind: "date", day, month: monthOfYear, ...(year !== undefined && { year: Number(year) }) };
}

function month(name: string, year: string | undefined): When {
  return {
    kind: "month",
    after: 0,
    month: monthNumber(name),
    ...(year !== undefined && { year: Number(year) }),
  };
}

function monthNumber(name: string): number {
  return MONTHS.indexOf(name.toLowerCase()) + 1;
}

/** "this" is 0, "next" 1, "last" -1. */
function after(said: string): number {
  if (/\bnext\b/i.test(said)) return 1;
  return /\blast\b/i.test(said) ? -1 : 0;
}

/** A number in digits or as a word; "a" is 1, "a couple of" 2, "few" 3. */
export function count(said: string): number {
  const word = said.toLowerCase();
  if (word === "a" || word === "an") return 1;
  if (word === "couple of") return 2;
  if (word === "few") return 3;
  return NUMBERS.includes(word) ? NUMBERS.indexOf(word) : Number(word);
}
