import { countryOf } from "../../cities.ts";
import { addDays, daysBetween, wallClock, withWeekday } from "../../local-time.ts";
import { isObject, type Json } from "../json.ts";
import { fitArguments } from "../tools.ts";
import type { OfferedTool } from "../types.ts";
import type { HolidaysAsk } from "../understanding/understanding.ts";
import { type Span, toSpan } from "../understanding/when.ts";
import { failureOf, notes, type Situation, type Step, words } from "./step.ts";

const TOOL = "get_holidays";
const UPCOMING = 5;

export function holidaysStep(ask: HolidaysAsk, { tools, now }: Situation): Step {
  const tool = tools.get(TOOL);
  if (tool === undefined)
    return words("I have no holiday calendar here, so I cannot tell you about public holidays.");
  const today = wallClock(now, "UTC").date;
  const span = ask.when === undefined || ask.when.kind === "now" ? undefined : toSpan(ask.when, today);
  const limit = ask.count ?? (span === undefined ? UPCOMING : undefined);
  const country = "country" in properties(tool) ? countryOf(ask.place) : undefined;
  const wanted = {
    after_date: span?.from ?? today,
    // The tool's end is exclusive.
    before_date: span === undefined ? undefined : addDays(span.to, 1),
    max_count: limit,
    country,
  };
  return {
    call: { name: TOOL, arguments: fitArguments(tool, wanted) },
    say: (result) => {
      const failure = failureOf(result);
      if (failure !== undefined) return `I could not look up the holidays: ${failure}`;
      return [
        say(result, today, span, limit),
        ...notes(result),
        ...elsewhere(country ? undefined : ask.place),
      ].join("\n");
    },
  };
}

function say(result: string, today: string, span: Span | undefined, limit: number | undefined): string {
  const holidays = [...result.matchAll(/^(\d{4}-\d\d-\d\d)[^:\n]*:\s*(.+)$/gm)].flatMap(
    ([, date = "", name = ""]) => (span === undefined || date <= span.to ? [{ date, name }] : []),
  );
  const [next] = holidays;
  const during =
    span === undefined
      ? ""
      : span.from === span.to
        ? ` on ${withWeekday(span.from)}`
        : ` from ${span.from} to ${span.to}`;
  if (next === undefined) {
    const isList = /^\d{4}-\d\d-\d\d/m.test(result);
    const said = isList || result.trim() === "" ? "" : ` ${result.trim()}`;
    return `I found no public holiday${during}.${said}`;
  }
  if (limit === 1)
    return `The next public holiday${during} is ${next.name}, ${withWeekday(next.date)} (${distance(today, next.date)}).`;
  if (span !== undefined && span.from === span.to) {
    return `Yes: ${withWeekday(span.from)} is ${holidays.map(({ name }) => name).join(" and ")}.`;
  }
  const lines = holidays.map(({ date, name }) => `- ${withWeekday(date)}: ${name}`);
  const title =
    span === undefined ? "The next public holidays" : `Public holidays${during} (${holidays.length})`;
  return [`${title}:`, ...lines].join("\n");
}

function distance(today: string, date: string): string {
  const days = daysBetween(today, date);
  if (days < 0) return "it has begun already";
  return ["today", "tomorrow"][days] ?? `in ${days} days`;
}

function properties({ parameters }: OfferedTool): Json {
  return isObject(parameters["properties"]) ? parameters["properties"] : {};
}

function elsewhere(place: string | undefined): string[] {
  return place === undefined ? [] : [`My calendar is of one region only, which may not be ${place}.`];
}
