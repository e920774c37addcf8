import { findCity } from "../../cities.ts";
import { addDays, daysBetween, wallClock, withWeekday } from "../../local-time.ts";
import { fitArguments } from "../tools.ts";
import type { WeatherAsk } from "../understanding/understanding.ts";
import { type Span, toSpan } from "../understanding/when.ts";
import { failureOf, notes, type Situation, type Step, words } from "./step.ts";

const TOOL = "get_weather";
/** As far as the tool looks ahead, today included. */
const REACH = 10;

/** Steps for all weather questions of a message; forecasts of one place share one call, the longest. */
export function weatherSteps(
  asks: readonly WeatherAsk[],
  situation: Situation,
): ReadonlyMap<WeatherAsk, Step> {
  const longest = new Map<string, number>();
  for (const ask of asks) {
    const place = ask.place ?? "";
    if (ask.when.kind !== "now")
      longest.set(place, Math.max(longest.get(place) ?? 1, daysFor(ask, situation)));
  }
  return new Map(asks.map((ask) => [ask, weatherStep(ask, situation, longest.get(ask.place ?? "") ?? 1)]));
}

function weatherStep(ask: WeatherAsk, situation: Situation, days: number): Step {
  const tool = situation.tools.get(TOOL);
  const { place } = ask;
  if (place === undefined)
    return words("Which place do you mean? Tell me a city, and I will look up its weather there.");
  if (tool === undefined)
    return words(`I have no tool for the weather here, so I cannot tell you about ${place}.`);
  if (ask.when.kind === "now") {
    return {
      call: { name: TOOL, arguments: fitArguments(tool, { location: place }) },
      say: (result) => failed(place, result) ?? sayCurrent(place, result),
    };
  }
  const today = todayAt(place, situation.now);
  const span = toSpan(ask.when, today);
  if (span.to < today) return words("I can only look ahead: the weather of past days is not in my reach.");
  if (daysBetween(today, span.from) >= REACH) {
    return words(
      `That is too far ahead: a forecast reaches ${REACH} days, to ${withWeekday(addDays(today, REACH - 1))}.`,
    );
  }
  return {
    call: { name: TOOL, arguments: fitArguments(tool, { location: place, days }) },
    say: (result) => failed(place, result) ?? sayForecast(place, span, today, result),
  };
}

function daysFor({ place, when }: WeatherAsk, { now }: Situation): number {
  const today = todayAt(place ?? "", now);
  return Math.min(REACH, Math.max(1, daysBetween(today, toSpan(when, today).to) + 1));
}

/** The place's own day where it is known, else the day in UTC. */
function todayAt(place: string, now: Date): string {
  return wallClock(now, findCity(place)?.timeZone ?? "UTC").date;
}

function failed(place: string, result: string): string | undefined {
  const failure = failureOf(result);
  return failure === undefined ? undefined : `I could not get the weather for ${place}: ${failure}`;
}

function sayCurrent(place: string, result: string): string {
  const [, where, what] = /^Weather in (.+?)(?: \(local time [^)]*\))?: (.+)$/m.exec(result) ?? [];
  if (where === undefined || what === undefined) return quoted(place, result);
  return [`In ${where} it is now ${what}.`, ...notes(result)].join("\n");
}

function sayForecast(place: string, span: Span, today: string, result: string): string {
  const days = new Map(
    [...result.matchAll(/^(\d{4}-\d\d-\d\d)\s*[:,]?\s*(.+)$/gm)].map(([, date = "", what = ""]) => [
      date,
      what,
    ]),
  );
  const [first] = days.keys();
  if (first === undefined) return quoted(place, result);
  const where = /^Forecast for (.+?):?$/m.exec(result)?.[1] ?? place;
  // The tool's first day is today, unless the data is old: then it began earlier, and the model's own date counts.
  const dated = findCity(place) !== undefined || notes(result).length > 0;
  const shift = dated && days.has(today) ? 0 : daysBetween(today, first);
  const asked = { from: addDays(span.from, shift), to: addDays(span.to, shift) };
  const chosen = [...days].filter(([date]) => date >= asked.from && date <= asked.to);
  const last = [...days.keys()].at(-1) ?? first;
  const short = asked.to > last ? [`The forecast I have ends on ${withWeekday(last)}.`] : [];
  if (chosen.length === 0)
    return [`I have no forecast for ${where} on ${withWeekday(asked.from)}.`, ...short].join(" ");
  const now = addDays(today, shift);
  const [only] = chosen;
  if (only !== undefined && span.from === span.to) {
    return [`${dayName(only[0], now)} in ${where}: ${only[1]}.`, ...notes(result)].join("\n");
  }
  const lines = chosen.map(([date, what]) => `- ${dayName(date, now)}: ${what}`);
  return [`Forecast for ${where}:`, ...lines, ...short, ...notes(result)].join("\n");
}

function dayName(date: string, today: string): string {
  const name = ["Today, ", "Tomorrow, ", "The day after tomorrow, "][daysBetween(today, date)] ?? "";
  return `${name}${withWeekday(date)}`;
}

function quoted(place: string, result: string): string {
  return `This is what I was told about the weather in ${place}:\n${result.trim()}`;
}
