import { findCity, foldName } from "../../cities.ts";
import { addDays, withWeekday } from "../../local-time.ts";
import { fitArguments } from "../tools.ts";
import type { TimeAsk } from "../understanding/understanding.ts";
import { toSpan } from "../understanding/when.ts";
import { failureOf, type Situation, type Step, words } from "./step.ts";

const TOOL = "get_today_date";
const RESULT = /(\d{4}-\d\d-\d\d)T(\d\d:\d\d)\S*(?: \(([^)]+)\))?/;

export function timeStep(ask: TimeAsk, { tools }: Situation): Step {
  const tool = tools.get(TOOL);
  if (tool === undefined) return words("I have no clock here, so I cannot tell you the date or the time.");
  const { place } = ask;
  const timeZone = place === undefined ? undefined : timeZoneOf(place);
  if (place !== undefined && timeZone === undefined) {
    return words(
      `I do not know the time zone of ${place}. Name a larger city near it and I will tell you the time there.`,
    );
  }
  return {
    call: { name: TOOL, arguments: fitArguments(tool, { timezone: timeZone }) },
    say: (result) => {
      const failure = failureOf(result);
      if (failure !== undefined) return `I could not find out the time${where(place)}: ${failure}`;
      return sayTime(ask, result);
    },
  };
}

function sayTime({ topic, place, when }: TimeAsk, result: string): string {
  const [, date, time, zone] = RESULT.exec(result) ?? [];
  if (date === undefined || time === undefined) return `My clock says: ${result.trim()}`;
  if (topic === "date" && when !== undefined && when.kind !== "now") {
    const { from, to } = toSpan(when, date);
    if (from === addDays(date, 1) && to === from) return `Tomorrow is ${withWeekday(from)}.`;
    if (from !== date) return from === to ? `That is ${withWeekday(from)}.` : `That is ${from} to ${to}.`;
  }
  const noted = zone === undefined ? "" : ` (${zone})`;
  if (topic === "date") return `Today${where(place)} is ${withWeekday(date)}${noted}.`;
  return `It is ${time}${where(place)} on ${withWeekday(date)}${noted}.`;
}

function where(place: string | undefined): string {
  return place === undefined ? "" : ` in ${place}`;
}

/** IANA zone of a known city or country, or of the zone that bears the name ("Kathmandu", "UTC"). */
function timeZoneOf(place: string): string | undefined {
  const city = findCity(place);
  if (city !== undefined) return city.timeZone;
  const name = foldName(place);
  if (name === "utc" || name === "gmt") return "UTC";
  return Intl.supportedValuesOf("timeZone").find(
    (zone) => foldName(zone) === name || foldName(zone.split("/").at(-1) ?? "") === name,
  );
}
