import type ICAL from "ical.js";
import * as z from "zod";

type Event = InstanceType<typeof ICAL.Event>;
type Time = InstanceType<typeof ICAL.Time>;

/** A holiday in the calendar's own days, `YYYY-MM-DD`; `lastDate` is its last day, the same for a single day. */
export const holiday = z.object({ date: z.string(), lastDate: z.string(), name: z.string() });
export type Holiday = z.infer<typeof holiday>;

/** A recurring event stops here even if its rule goes on within the span (one a day for five years). */
const MAX_OCCURRENCES = 2_000;
const MAX_NAME = 200;

/**
 * The events of an iCalendar (RFC 5545) that touch [`from`, `before`), recurring ones expanded, in order of date.
 * @throws when the text is not a calendar
 */
export async function parseCalendar(text: string, from: string, before: string): Promise<Holiday[]> {
  const { default: ical } = await import("ical.js");
  const calendar = new ical.Component(ical.parse(text));
  if (calendar.name !== "vcalendar") throw new Error("not a VCALENDAR");
  const holidays: Holiday[] = [];
  for (const component of calendar.getAllSubcomponents("vevent")) {
    // An override of one occurrence is reached through its series.
    if (component.hasProperty("recurrence-id") || component.getFirstPropertyValue("status") === "CANCELLED")
      continue;
    for (const found of occurrences(new ical.Event(component), before)) {
      if (found.lastDate >= from && found.date < before) holidays.push(found);
    }
  }
  return holidays.sort((a, b) => (a.date < b.date ? -1 : a.date > b.date ? 1 : 0));
}

function* occurrences(event: Event, before: string): Generator<Holiday> {
  if (!event.startDate) return;
  if (!event.isRecurring()) {
    yield toHoliday(event.summary, event.startDate, event.endDate);
    return;
  }
  const iterator = event.iterator();
  for (let count = 0; count < MAX_OCCURRENCES; count++) {
    const start = iterator.next();
    if (!start || dateOf(start) >= before) return;
    const { item, startDate, endDate } = event.getOccurrenceDetails(start);
    yield toHoliday(item.summary, startDate, endDate);
  }
}

function toHoliday(summary: string | null, start: Time, end: Time | null): Holiday {
  const date = dateOf(start);
  const last = end ? lastDateOf(end) : date;
  const name = (summary ?? "").replace(/\s+/g, " ").trim().slice(0, MAX_NAME) || "Unnamed holiday";
  // An end before the start is a fault of the calendar: the day itself stands.
  return last > date ? { date, lastDate: last, name } : { date, lastDate: date, name };
}

/** An end is exclusive: a day's end at midnight belongs to the day before. */
function lastDateOf(end: Time): string {
  const last = end.clone();
  if (end.isDate || (end.hour === 0 && end.minute === 0 && end.second === 0)) last.adjust(-1, 0, 0, 0);
  return dateOf(last);
}

const dateOf = (time: Time) =>
  [
    String(time.year).padStart(4, "0"),
    String(time.month).padStart(2, "0"),
    String(time.day).padStart(2, "0"),
  ].join("-");
