import { Deadline } from "@parley/core/resilience/deadline";
import { getTodayDate } from "@parley/core/tools/get-today-date";
import { describe, expect, test } from "vitest";
import { fc } from "../../support/property.ts";

function today(now: string | number, timezone: string | null): string {
  const tool = getTodayDate({ clock: { now: () => new Date(now).getTime() } });
  return tool.execute({ timezone }, { deadline: new Deadline(1_000) }) as string;
}

test.each([
  [null, "Sunday, 2026-11-22T14:40:12+00:00 (UTC)"],
  ["UTC", "Sunday, 2026-11-22T14:40:12+00:00 (UTC)"],
  ["Europe/Madrid", "Sunday, 2026-11-22T15:40:12+01:00 (Europe/Madrid)"],
  ["Asia/Tokyo", "Sunday, 2026-11-22T23:40:12+09:00 (Asia/Tokyo)"],
  ["Asia/Kolkata", "Sunday, 2026-11-22T20:10:12+05:30 (Asia/Kolkata)"],
  ["Asia/Kathmandu", "Sunday, 2026-11-22T20:25:12+05:45 (Asia/Kathmandu)"],
  ["America/St_Johns", "Sunday, 2026-11-22T11:10:12-03:30 (America/St_Johns)"],
  ["Pacific/Kiritimati", "Monday, 2026-11-23T04:40:12+14:00 (Pacific/Kiritimati)"],
  ["Pacific/Pago_Pago", "Sunday, 2026-11-22T03:40:12-11:00 (Pacific/Pago_Pago)"],
])("in %s", (timezone, expected) => {
  expect(today("2026-11-22T14:40:12Z", timezone)).toBe(expected);
});

describe("when the clocks change", () => {
  test.each([
    ["2026-03-29T00:59:59Z", "Europe/Madrid", "Sunday, 2026-03-29T01:59:59+01:00 (Europe/Madrid)"],
    ["2026-03-29T01:00:00Z", "Europe/Madrid", "Sunday, 2026-03-29T03:00:00+02:00 (Europe/Madrid)"],
    ["2026-10-25T00:30:00Z", "Europe/Madrid", "Sunday, 2026-10-25T02:30:00+02:00 (Europe/Madrid)"],
    ["2026-10-25T01:30:00Z", "Europe/Madrid", "Sunday, 2026-10-25T02:30:00+01:00 (Europe/Madrid)"],
    ["2026-03-08T07:00:00Z", "America/New_York", "Sunday, 2026-03-08T03:00:00-04:00 (America/New_York)"],
    ["2026-11-01T06:00:00Z", "America/New_York", "Sunday, 2026-11-01T01:00:00-05:00 (America/New_York)"],
    [
      "2026-04-04T15:00:00Z",
      "Australia/Lord_Howe",
      "Sunday, 2026-04-05T01:30:00+10:30 (Australia/Lord_Howe)",
    ],
  ])("%s in %s", (now, timezone, expected) => {
    expect(today(now, timezone)).toBe(expected);
  });

  test("midnight is 00 of the new day", () => {
    expect(today("2026-12-31T23:00:00Z", "Europe/Madrid")).toBe(
      "Friday, 2027-01-01T00:00:00+01:00 (Europe/Madrid)",
    );
  });
});

test.each(["Europe/Atlantis", "Barcelona", "", "../../etc", "💥", "GMT+25"])(
  "%j is no time zone, and the model is told what one looks like",
  (timezone) => {
    expect(() => today(0, timezone)).toThrow(
      expect.objectContaining({
        code: "invalid_argument",
        message: `${JSON.stringify(timezone)} is not an IANA time zone such as Europe/Madrid.`,
      }),
    );
  },
);

test("the date-time is the very instant, in every zone that this runtime knows", async () => {
  await fc.assert(
    fc.property(
      fc.date({ min: new Date("2000-01-01"), max: new Date("2099-12-31"), noInvalidDate: true }),
      fc.constantFrom(...Intl.supportedValuesOf("timeZone")),
      (now, timezone) => {
        const found = /^(\w+), (\S+) \((\S+)\)$/.exec(today(now.getTime(), timezone));
        const [, weekday, instant, zone] = found!;
        expect(Date.parse(instant!)).toBe(Math.floor(now.getTime() / 1000) * 1000);
        expect(zone).toBe(timezone);
        const date = new Date(`${instant!.slice(0, 10)}T12:00:00Z`);
        expect(weekday).toBe(date.toLocaleDateString("en-GB", { weekday: "long", timeZone: "UTC" }));
      },
    ),
    { numRuns: 300 },
  );
});
