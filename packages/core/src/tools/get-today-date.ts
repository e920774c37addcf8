import { AppError } from "../error.ts";
import * as z from "../schema.ts";
import { defineTool, type ToolDependencies } from "./tool.ts";

export const getTodayDate = ({ clock }: Pick<ToolDependencies, "clock">) =>
  defineTool({
    name: "get_today_date",
    description:
      "Tells today's date, the day of the week and the time, in UTC or in a given time zone. Ask before you answer anything about now, today, or a date relative to today.",
    parameters: z.object({
      timezone: z
        .nullable(z.string())
        .check(z.describe("IANA time zone such as Europe/Madrid; null for UTC")),
    }),
    execute: ({ timezone }) => describeInstant(clock.now(), timezone ?? "UTC"),
  });

/** `Sunday, 2026-11-22T15:40:12+01:00 (Europe/Madrid)` */
function describeInstant(now: number, timeZone: string): string {
  let format: Intl.DateTimeFormat;
  try {
    format = new Intl.DateTimeFormat("en-GB", {
      timeZone,
      weekday: "long",
      year: "numeric",
      month: "2-digit",
      day: "2-digit",
      hour: "2-digit",
      minute: "2-digit",
      second: "2-digit",
      hourCycle: "h23",
      timeZoneName: "longOffset",
    });
  } catch (cause) {
    throw new AppError(
      "invalid_argument",
      `${JSON.stringify(timeZone)} is not an IANA time zone such as Europe/Madrid.`,
      { cause },
    );
  }
  const parts = Object.fromEntries(format.formatToParts(now).map(({ type, value }) => [type, value]));
  const offset = parts["timeZoneName"]?.replace("GMT", "") || "Z";
  const date = `${parts["year"]}-${parts["month"]}-${parts["day"]}`;
  const time = `${parts["hour"]}:${parts["minute"]}:${parts["second"]}`;
  return `${parts["weekday"]}, ${date}T${time}${offset} (${timeZone})`;
}
