import type ICAL from "ical.js";
import * as z from "../schema.ts";
import { shorten } from "../text.ts";

type Component = InstanceType<typeof ICAL.Component>;
type Event = InstanceType<typeof ICAL.Event>;
type Time = InstanceType<typeof ICAL.Time>;

/** A holiday in the calendar's own days, `YYYY-MM-DD`; `lastDate` is its last day, the same for a single day. */
export const holiday = z.object({ date: z.string(), lastDate: z.string(), name: z.string() });
export type Holiday = z.infer<typeof holiday>;

/** Steps of all recurrence rules together: under a second of work, and enough for a daily rule since 1970. */
const MAX_STEPS = 25_000;
const MAX_NAME = 200;

/**
 * The events of an iCalendar (RFC 5545) that touch [`from`, `before`), recurring ones expanded, in order of date.
 * Feeds are sloppy: an event that cannot be read is left out, as long as there are others.
 * @throws when the text is not a calendar, nothing in it can be read, or its rules take too many steps
 */
export async function parseCalendar(text: string, from: string, before: string): Promise<Holiday[]> {
  const { default: ical } = await import("ical.js");
  const calendar = new ical.Component(ical.parse(text));
  if (calendar.name !== "vcalendar") throw new Error("not a VCALENDAR");
  const components = calendar.getAllSubcomponents("vevent");
  const overrides = Map.groupBy(components.filter(isOverride), uidOf);
  const budget = { steps: MAX_STEPS };
  const holidays: Holiday[] = [];
  let fault: unknown;
  for (const component of components) {
    // An override of one occurrence is reached through its series.
    if (isOverride(component) || isCancelled(component)) continue;
    try {
      // Left to itself the library looks through all events for the overrides of each.
      const event = new ical.Event(component, { exceptions: overrides.get(uidOf(component)) ?? [] });
      for (const found of occurrences(event, before, budget)) {
        if (found.lastDate >= from && found.date < before) holidays.push(found);
      }
    } catch (error) {
      fault ??= error;
    }
    if (budget.steps < 0) throw new Error(`the calendar's rules take over ${MAX_STEPS} steps`);
  }
  if (fault !== undefined && holidays.length === 0) throw fault;
  return holidays.sort((a, b) => (a.date < b.date ? -1 : a.date > b.date ? 1 : 0));
}

const isOverride = (event: Component) => event.hasProperty("recurrence-id");
const isCancelled = (event: Component) => event.getFirstPropertyValue("status") === "CANCELLED";
const uidOf = (event: Component) => String(event.getFirstPropertyValue("uid"));

function* occurrences(event: Event, before: string, budget: { steps: number }): Generator<Holiday> {
  if (!event.startDate) return;
  if (!event.isRecurring()) {
    yield toHoliday(event.summary, event.startDate, event.endDate);
    return;
  }
  const iterator = event.iterator();
  while (--budget.steps >= 0) {
    const start = iterator.next();
    if (!start || dateOf(start) >= before) return;
    const { item, startDate, endDate } = event.getOccurrenceDetails(start);
    if (!isCancelled(item.component)) yield toHoliday(item.summary, startDate, endDate);
  }
}

function toHoliday(summary: string | null, start: Time, end: Time | null): Holiday {
  const date = dateOf(start);
  const last = end ? lastDateOf(end) : date;
  const name = shorten(summary ?? "", MAX_NAME) || "Unnamed holiday";
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
