import { findWhen, toSpan } from "@parley/local/simulators/model/understanding/when";
import { describe, expect, test } from "vitest";

const THURSDAY = "2026-11-26";
const SATURDAY = "2026-11-28";
const SUNDAY = "2026-11-22";

describe("a time in words is the days it means", () => {
  test.each<[today: string, said: string, from: string, to: string]>([
    [SUNDAY, "now", "2026-11-22", "2026-11-22"],
    [SUNDAY, "today", "2026-11-22", "2026-11-22"],
    [SUNDAY, "this evening", "2026-11-22", "2026-11-22"],
    [SUNDAY, "Tomorrow morning", "2026-11-23", "2026-11-23"],
    [SUNDAY, "the day after tomorrow", "2026-11-24", "2026-11-24"],
    [SUNDAY, "yesterday", "2026-11-21", "2026-11-21"],
    [SUNDAY, "in 3 days", "2026-11-25", "2026-11-25"],
    [SUNDAY, "in a week", "2026-11-29", "2026-11-29"],
    [SUNDAY, "in two weeks", "2026-12-06", "2026-12-06"],
    [SUNDAY, "over the next five days", "2026-11-22", "2026-11-26"],
    [SUNDAY, "the next few days", "2026-11-22", "2026-11-24"],
    [SUNDAY, "5-day forecast", "2026-11-22", "2026-11-26"],
    [THURSDAY, "this weekend", "2026-11-28", "2026-11-29"],
    [SATURDAY, "at the weekend", "2026-11-28", "2026-11-29"],
    [SUNDAY, "this weekend", "2026-11-22", "2026-11-22"],
    [THURSDAY, "next weekend", "2026-12-05", "2026-12-06"],
    [SUNDAY, "next weekend", "2026-11-28", "2026-11-29"],
    [THURSDAY, "this week", "2026-11-26", "2026-11-29"],
    [SUNDAY, "this week", "2026-11-22", "2026-11-22"],
    [THURSDAY, "next week", "2026-11-30", "2026-12-06"],
    [SUNDAY, "next week", "2026-11-23", "2026-11-29"],
    [THURSDAY, "on Friday", "2026-11-27", "2026-11-27"],
    [THURSDAY, "on Wednesday", "2026-12-02", "2026-12-02"],
    [THURSDAY, "thursday", "2026-11-26", "2026-11-26"],
    [THURSDAY, "next Thursday", "2026-12-03", "2026-12-03"],
    [THURSDAY, "on 2026-12-25", "2026-12-25", "2026-12-25"],
    [THURSDAY, "on the 25th of December", "2026-12-25", "2026-12-25"],
    [THURSDAY, "on March 1st", "2027-03-01", "2027-03-01"],
    [THURSDAY, "25 December 2027", "2027-12-25", "2027-12-25"],
    [THURSDAY, "in August", "2027-08-01", "2027-08-31"],
    [THURSDAY, "in November", "2026-11-01", "2026-11-30"],
    [THURSDAY, "in February 2028", "2028-02-01", "2028-02-29"],
    [THURSDAY, "next month", "2026-12-01", "2026-12-31"],
    [SUNDAY, "last month", "2026-10-01", "2026-10-31"],
    [THURSDAY, "next year", "2027-01-01", "2027-12-31"],
    [THURSDAY, "in 2028", "2028-01-01", "2028-12-31"],
  ])("on %s %j: %s to %s", (today, said, from, to) => {
    const { when } = findWhen(`x ${said}`);
    expect(when && toSpan(when, today)).toEqual({ from, to });
  });

  test("a month past this year's end rolls over", () => {
    const { when } = findWhen("next month");
    expect(when && toSpan(when, "2026-12-31")).toEqual({ from: "2027-01-01", to: "2027-01-31" });
  });
});

test.each(["may I ask", "march on", "the Mondays", "nowhere", "in 3 cities", "week", "snowy"])(
  "%j says no time",
  (text) => {
    expect(findWhen(text)).toEqual({ rest: text });
  },
);
