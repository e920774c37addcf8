const formats = new Map<string, Intl.DateTimeFormat>();

/** The wall clock at `timeZone` (IANA): `date` as `YYYY-MM-DD`, `time` as `HH:MM`. */
export function wallClock(at: Date, timeZone: string): { date: string; time: string } {
  let format = formats.get(timeZone);
  if (format === undefined) {
    // Swedish writes dates the ISO way.
    format = new Intl.DateTimeFormat("sv-SE", { timeZone, dateStyle: "short", timeStyle: "short" });
    formats.set(timeZone, format);
  }
  const [date = "", time = ""] = format.format(at).split(" ");
  return { date, time };
}

// Days are ISO dates, and arithmetic on them stays in UTC, so that no clock change can move one.

export function addDays(date: string, days: number): string {
  const moved = new Date(`${date}T00:00:00Z`);
  moved.setUTCDate(moved.getUTCDate() + days);
  return moved.toISOString().slice(0, 10);
}

/** Whole days from `from` to `to`, negative when `to` is earlier. */
export function daysBetween(from: string, to: string): number {
  return Math.round((Date.parse(`${to}T00:00:00Z`) - Date.parse(`${from}T00:00:00Z`)) / 86_400_000);
}

/** 0 is Sunday. */
export function weekday(date: string): number {
  return new Date(`${date}T00:00:00Z`).getUTCDay();
}

export const WEEKDAYS = [
  "Sunday",
  "Monday",
  "Tuesday",
  "Wednesday",
  "Thursday",
  "Friday",
  "Saturday",
] as const;

/** "Monday 2026-11-23". */
export function withWeekday(date: string): string {
  return `${WEEKDAYS[weekday(date)] ?? ""} ${date}`;
}
