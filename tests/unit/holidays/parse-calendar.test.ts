import { type Holiday, parseCalendar } from "@parley/core/holidays/parse-calendar";
import { describe, expect, test } from "vitest";
import { ics } from "../../support/ics.ts";
import { fc } from "../../support/property.ts";

/** `date name` or `date..lastDate name`, of 2024 to 2029 unless told otherwise. */
async function read(text: string, from = "2024-01-01", before = "2030-01-01"): Promise<string[]> {
  return (await parseCalendar(text, from, before)).map(
    ({ date, lastDate, name }) => `${date}${lastDate === date ? "" : `..${lastDate}`} ${name}`,
  );
}
const event = (...lines: string[]) => read(ics(lines));

describe("one event", () => {
  test.each([
    ["a whole day", ["DTSTART;VALUE=DATE:20261225"], "2026-12-25"],
    ["a whole day with its end", ["DTSTART;VALUE=DATE:20261225", "DTEND;VALUE=DATE:20261226"], "2026-12-25"],
    ["several days", ["DTSTART;VALUE=DATE:20260923", "DTEND;VALUE=DATE:20260926"], "2026-09-23..2026-09-25"],
    [
      "several days over the new year",
      ["DTSTART;VALUE=DATE:20261231", "DURATION:P2D"],
      "2026-12-31..2027-01-01",
    ],
    ["hours", ["DTSTART:20261224T140000Z", "DTEND:20261224T220000Z"], "2026-12-24"],
    ["hours until midnight", ["DTSTART:20261224T140000Z", "DTEND:20261225T000000Z"], "2026-12-24"],
    ["hours over midnight", ["DTSTART:20261231T220000Z", "DTEND:20270101T020000Z"], "2026-12-31..2027-01-01"],
    [
      "hours in a zone, in that zone's days",
      ["DTSTART;TZID=Asia/Tokyo:20261225T010000", "DTEND;TZID=Asia/Tokyo:20261225T030000"],
      "2026-12-25",
    ],
    ["a moment", ["DTSTART:20261231T000000Z"], "2026-12-31"],
    ["an end before the start", ["DTSTART;VALUE=DATE:20261231", "DTEND;VALUE=DATE:20261201"], "2026-12-31"],
    ["a 29 February", ["DTSTART;VALUE=DATE:20280229"], "2028-02-29"],
  ])("%s", async (_, lines, expected) => {
    expect(await event(...lines, "SUMMARY:Day")).toEqual([`${expected} Day`]);
  });

  test.each([
    ["SUMMARY:Night of San Juan\\, midsummer\\; all of it", "Night of San Juan, midsummer; all of it"],
    ["SUMMARY:two\\nlines  and\\n spaces ", "two lines and spaces"],
    ["SUMMARY:Diada 🎉 元日 عيد", "Diada 🎉 元日 عيد"],
    ["SUMMARY;LANGUAGE=en:Epiphany", "Epiphany"],
    ["SUMMARY:A folded li\r\n ne", "A folded line"],
    ["SUMMARY:", "Unnamed holiday"],
    ["DESCRIPTION:no summary", "Unnamed holiday"],
    ["SUMMARY:<script>alert(1)</script>", "<script>alert(1)</script>"],
  ])("%j is called %j", async (line, name) => {
    expect(await event("DTSTART;VALUE=DATE:20261225", line)).toEqual([`2026-12-25 ${name}`]);
  });

  test("a long name is cut between characters", async () => {
    const [found] = await parseCalendar(
      ics(["DTSTART;VALUE=DATE:20261225", `SUMMARY:x${"👨‍👩‍👧".repeat(300)}`]),
      "2026-01-01",
      "2027-01-01",
    );
    expect(found!.name.isWellFormed()).toBe(true);
    expect(found!.name).toBe(`x${"👨‍👩‍👧".repeat(198)}…`);
  });

  test("cancelled is none", async () => {
    expect(await event("DTSTART;VALUE=DATE:20261225", "STATUS:CANCELLED")).toEqual([]);
  });
});

describe("a series", () => {
  const yearly = [
    "UID:series",
    "DTSTART;VALUE=DATE:20240501",
    "RRULE:FREQ=YEARLY;COUNT=4",
    "SUMMARY:Labour Day",
  ];
  const all = ["2024-05-01", "2025-05-01", "2026-05-01", "2027-05-01"].map((date) => `${date} Labour Day`);

  test("every year, so many times", async () => {
    expect(await read(ics(yearly))).toEqual(all);
  });

  test("until a day", async () => {
    const found = await event("DTSTART;VALUE=DATE:20200106", "RRULE:FREQ=YEARLY;UNTIL=20250106", "SUMMARY:E");
    expect(found).toEqual(["2024-01-06 E", "2025-01-06 E"]);
  });

  test("the second Monday of January", async () => {
    const rule = "RRULE:FREQ=YEARLY;BYMONTH=1;BYDAY=2MO";
    expect(await event("DTSTART;VALUE=DATE:20200113", rule, "SUMMARY:Coming of age")).toEqual(
      ["2024-01-08", "2025-01-13", "2026-01-12", "2027-01-11", "2028-01-10", "2029-01-08"].map(
        (date) => `${date} Coming of age`,
      ),
    );
  });

  test("without the days taken out", async () => {
    const found = await read(ics([...yearly, "EXDATE;VALUE=DATE:20250501,20270501"]));
    expect(found).toEqual([all[0], all[2]]);
  });

  test("with days of its own", async () => {
    const found = await event(
      "DTSTART;VALUE=DATE:20260101",
      "RRULE:FREQ=YEARLY;COUNT=1",
      "RDATE;VALUE=DATE:20260106",
      "SUMMARY:X",
    );
    expect(found).toEqual(["2026-01-01 X", "2026-01-06 X"]);
  });

  test("with one day moved and renamed, whichever comes first in the file", async () => {
    const override = [
      "UID:series",
      "RECURRENCE-ID;VALUE=DATE:20250501",
      "DTSTART;VALUE=DATE:20250502",
      "SUMMARY:Moved",
    ];
    const expected = [all[0], "2025-05-02 Moved", all[2], all[3]];
    expect(await read(ics(yearly, override))).toEqual(expected);
    expect(await read(ics(override, yearly))).toEqual(expected);
  });

  test("with one day cancelled", async () => {
    const override = [
      "UID:series",
      "RECURRENCE-ID;VALUE=DATE:20250501",
      "DTSTART;VALUE=DATE:20250501",
      "STATUS:CANCELLED",
    ];
    expect(await read(ics(yearly, override))).toEqual([all[0], all[2], all[3]]);
  });

  test("an override of another series changes nothing", async () => {
    const other = [
      "UID:other",
      "RECURRENCE-ID;VALUE=DATE:20250501",
      "DTSTART;VALUE=DATE:20250502",
      "SUMMARY:O",
    ];
    expect(await read(ics(yearly, other))).toEqual(all);
  });

  test("hours at the same time of day there, summer and winter", async () => {
    const found = await event(
      "DTSTART;TZID=Europe/Madrid:20261231T230000",
      "DTEND;TZID=Europe/Madrid:20270101T010000",
      "RRULE:FREQ=YEARLY;COUNT=2",
      "SUMMARY:Grapes",
    );
    expect(found).toEqual(["2026-12-31..2027-01-01 Grapes", "2027-12-31..2028-01-01 Grapes"]);
  });

  test("begun long ago still reaches us", async () => {
    const weekly = ["DTSTART;VALUE=DATE:19700104", "RRULE:FREQ=WEEKLY", "SUMMARY:Sunday"];
    expect(await read(ics(weekly), "2026-11-16", "2026-11-30")).toEqual([
      "2026-11-22 Sunday",
      "2026-11-29 Sunday",
    ]);
    const daily = ["DTSTART;VALUE=DATE:19700101", "RRULE:FREQ=DAILY", "SUMMARY:Day"];
    expect(await read(ics(daily), "2026-11-22", "2026-11-24")).toEqual(["2026-11-22 Day", "2026-11-23 Day"]);
  });

  test("rules that would take for ever fail instead", async () => {
    const startedAt = process.cpuUsage();
    const secondly = Array.from({ length: 200 }, () => ["DTSTART:20240101T000000Z", "RRULE:FREQ=SECONDLY"]);
    await expect(read(ics(...secondly))).rejects.toThrow("steps");
    expect(process.cpuUsage(startedAt).user).toBeLessThan(5_000_000);
  });
});

describe("the span", () => {
  const merce = ["DTSTART;VALUE=DATE:20260923", "DTEND;VALUE=DATE:20260926", "SUMMARY:Merce"];
  test.each([
    ["2026-09-22", "2026-09-23", 0],
    ["2026-09-22", "2026-09-24", 1],
    ["2026-09-25", "2026-09-26", 1],
    ["2026-09-26", "2026-09-27", 0],
    ["2026-09-24", "2026-09-25", 1],
  ])("[%s, %s) holds %i of an event of 23 to 25 September", async (from, before, count) => {
    expect(await read(ics(merce), from, before)).toHaveLength(count);
  });

  test("an event that began before it goes on in it", async () => {
    const series = [
      "DTSTART;VALUE=DATE:20201230",
      "DTEND;VALUE=DATE:20210103",
      "RRULE:FREQ=YEARLY",
      "SUMMARY:Turn",
    ];
    expect(await read(ics(series), "2027-01-01", "2027-06-01")).toEqual(["2026-12-30..2027-01-02 Turn"]);
  });

  test("events come in order of date, whatever the order in the file", async () => {
    const day = fc.date({ min: new Date("2024-01-01"), max: new Date("2029-12-31"), noInvalidDate: true });
    const dates = fc.array(
      day.map((at) => at.toISOString().slice(0, 10)),
      { minLength: 1, maxLength: 20 },
    );
    await fc.assert(
      fc.asyncProperty(dates, async (given) => {
        const text = ics(
          ...given.map((date) => [`DTSTART;VALUE=DATE:${date.replaceAll("-", "")}`, "SUMMARY:D"]),
        );
        const found: Holiday[] = await parseCalendar(text, "2024-01-01", "2030-01-01");
        expect(found.map(({ date }) => date)).toEqual(given.toSorted());
      }),
      { numRuns: 50 },
    );
  });
});

describe("sloppy feeds", () => {
  const good = ["DTSTART;VALUE=DATE:20261226", "SUMMARY:Good"];

  test("lines may end in LF alone", async () => {
    expect(await read(ics(good).replaceAll("\r\n", "\n"))).toEqual(["2026-12-26 Good"]);
  });

  test.each([
    ["a date said to be a time", ["DTSTART:20261225", "SUMMARY:Bad"]],
    ["a date that is none", ["DTSTART;VALUE=DATE:soon", "SUMMARY:Bad"]],
    ["no date", ["SUMMARY:Bad"]],
    ["a duration that is none", ["DTSTART;VALUE=DATE:20261225", "DURATION:long", "SUMMARY:Bad"]],
  ])("%s hides that event and no other", async (_, bad) => {
    expect(await read(ics(bad, good, bad))).toEqual(["2026-12-26 Good"]);
  });

  test("events without an id are not taken for each other", async () => {
    const text = ics(good, ["DTSTART;VALUE=DATE:20261227", "SUMMARY:Next"]).replaceAll(/UID:.*\r\n/g, "");
    expect(await read(text)).toEqual(["2026-12-26 Good", "2026-12-27 Next"]);
  });

  test("a calendar of ten thousand events takes no noticeable time", async () => {
    const text = ics(...Array.from({ length: 10_000 }, () => good));
    const startedAt = process.cpuUsage();
    expect(await read(text)).toHaveLength(10_000);
    expect(process.cpuUsage(startedAt).user).toBeLessThan(2_000_000);
  });

  test("a calendar without events has no holidays", async () => {
    expect(await read(ics())).toEqual([]);
  });
});

describe("no calendar", () => {
  test.each([
    ["nothing", ""],
    ["a web page", "<!doctype html><title>Sign in</title>"],
    ["JSON", '{"holidays":[]}'],
    ["an event alone", "BEGIN:VEVENT\r\nDTSTART;VALUE=DATE:20261226\r\nEND:VEVENT\r\n"],
    ["half a calendar", ics(["DTSTART;VALUE=DATE:20261226"]).slice(0, -20)],
    ["nothing readable", ics(["DTSTART:20261225"], ["DTSTART;VALUE=DATE:soon"])],
  ])("%s", async (_, text) => {
    await expect(read(text)).rejects.toThrow();
  });
});
