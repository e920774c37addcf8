import { spawnSync } from "node:child_process";
import { ToolRunner } from "@parley/core/assistant/tool-runner";
import { AppError } from "@parley/core/error";
import { countryHolidays } from "@parley/core/holidays/country-holidays";
import { Deadline } from "@parley/core/resilience/deadline";
import { silentTelemetry } from "@parley/core/telemetry";
import { getHolidays } from "@parley/core/tools/get-holidays";
import Rules from "date-holidays";
import { beforeEach, describe, expect, test } from "vitest";
import { MovableClock } from "../support/clock.ts";
import { fc } from "../support/property.ts";

let clock: MovableClock;
let calendarAsked: number;
beforeEach(() => {
  clock = new MovableClock();
  // Sunday, 22 November 2026.
  clock.advance(Date.UTC(2026, 10, 22, 14, 40) - clock.now());
  calendarAsked = 0;
});

/** The tool beside a configured calendar that knows one day. */
async function ask(given: Record<string, unknown>): Promise<string> {
  const holidays = {
    between: async () => {
      calendarAsked++;
      return [{ date: "2026-12-26", lastDate: "2026-12-26", name: "Sant Esteve" }];
    },
  };
  const runner = new ToolRunner({
    tools: [getHolidays({ clock, holidays })],
    timeoutMs: 20_000,
    telemetry: silentTelemetry,
  });
  const args = {
    before_date: null,
    after_date: null,
    max_count: null,
    country: null,
    region: null,
    ...given,
  };
  const call = {
    type: "tool_call",
    id: "1",
    name: "get_holidays",
    arguments: JSON.stringify(args),
  } as const;
  return (await runner.run(call, new Deadline(20_000, { clock }))).content;
}

const of2026 = { after_date: "2026-01-01", before_date: "2027-01-01" };
const datesOf = (text: string) => [...text.matchAll(/^(\d{4}-\d\d-\d\d):/gm)].map(([, date]) => date);

describe("a country's holidays", () => {
  test("of Japan: in English and Japanese, with the day in lieu and the day between two", async () => {
    const lines = (await ask({ ...of2026, country: "JP" })).split("\n");
    expect(lines).toHaveLength(18);
    expect(lines[1]).toBe("2026-01-12: Coming of Age Day (成人の日)");
    expect(lines).toContain("2026-05-06: Constitution Day (substitute day) (憲法記念日 (振替休日))");
    expect(lines).toContain("2026-09-22: Citizens' Holiday (国民の休日)");
    expect(calendarAsked).toBe(0);
  });

  test.each<[string, string | null, readonly string[], readonly string[]]>([
    ["US", null, ["2026-07-04", "2026-11-26"], ["2026-04-06"]],
    ["GB", "GB-SCT", ["2026-01-02", "2026-11-30"], ["2026-04-06"]],
    ["GB", "ENG", ["2026-04-06"], ["2026-01-02", "2026-11-30"]],
    ["DE", null, ["2026-10-03"], ["2026-06-04"]],
    ["DE", "DE-BY", ["2026-06-04", "2026-11-01"], []],
    ["ES", "ES-CT", ["2026-09-11", "2026-06-24"], []],
    ["FR", null, ["2026-07-14", "2026-05-14"], []],
    ["AU", "au-vic", ["2026-11-03"], []],
  ])("%s, region %s", async (country, region, among, notAmong) => {
    const dates = datesOf(await ask({ ...of2026, country, region }));
    for (const date of among) expect(dates).toContain(date);
    for (const date of notAmong) expect(dates).not.toContain(date);
  });

  test("of several days have an end, and those by the moon a note", async () => {
    const lines = (await ask({ ...of2026, country: "TR" })).split("\n");
    expect(lines).toContain("2026-03-20: End of Ramadan (Eid al-Fitr) (Ramazan Bayramı) (until 2026-03-22)");
    expect(lines.at(-1)).toBe(
      "Note: holidays of the Islamic calendar may be a day earlier or later, as the moon is seen.",
    );
    const middle = await ask({ country: "TR", after_date: "2026-03-21", before_date: "2026-03-22" });
    expect(middle).toContain("2026-03-20: End of Ramadan");
  });

  test("without dates are the coming year's, and no more than asked for", async () => {
    const all = datesOf(await ask({ country: "PT" }));
    expect(all[0]).toBe("2026-12-01");
    expect(all.at(-1)?.slice(0, 4)).toBe("2027");
    expect(datesOf(await ask({ country: "PT", max_count: 2 }))).toEqual(all.slice(0, 2));
  });

  test("in a span without any", async () => {
    const text = await ask({ country: "JP", after_date: "2026-06-01", before_date: "2026-07-01" });
    expect(text).toBe("The calendar has no holidays in that span.");
  });

  test.each([
    ["Japan", "JP"],
    ["japan", "JP"],
    ["日本", "JP"],
    ["Czechia", "CZ"],
    ["Czech Republic", "CZ"],
    ["United Kingdom", "GB"],
    ["UK", "GB"],
    ["United States", "US"],
    ["United States of America", "US"],
    ["USA", "US"],
    ["TURKEY", "TR"],
    ["Türkiye", "TR"],
    ["Cote d'Ivoire", "CI"],
    [" es ", "ES"],
  ])("of %j are those of %s", async (name, code) => {
    expect(await ask({ ...of2026, country: name })).toBe(await ask({ ...of2026, country: code }));
  });

  test.each(["Catalonia", "Cataluña", "cataluna", "ES-CT", "es-ct", "CT"])(
    "of its region %j",
    async (region) => {
      const text = await ask({ ...of2026, country: "ES", region });
      expect(datesOf(text)).toContain("2026-09-11");
    },
  );

  test("of a region whose code names the country", async () => {
    expect(await ask({ ...of2026, region: "ES-CT" })).toBe(
      await ask({ ...of2026, country: "ES", region: "ES-CT" }),
    );
  });
});

describe("the configured calendar", () => {
  test("is asked when no country is", async () => {
    expect(await ask({})).toBe("2026-12-26: Sant Esteve");
    expect(calendarAsked).toBe(1);
  });
});

describe("what is not known is said", () => {
  test.each([
    [
      { country: "Atlantis" },
      /^Error: No country called "Atlantis" is known: give its ISO 3166-1 alpha-2 code/,
    ],
    [{ country: "XX" }, /^Error: No country called "XX"/],
    [{ country: "constructor" }, /^Error: No country called/],
    [
      { country: "ES", region: "XX" },
      /^Error: No region called "XX" of Spain is known. Its regions are: .*CT Catalonia/,
    ],
    [{ country: "JP", region: "Tokyo" }, /^Error: No regions of Japan are known: ask without a region/],
    [{ region: "Catalonia" }, /^Error: Say in which country the region lies/],
    [{ region: "ZZ-1" }, /^Error: No country called "ZZ"/],
    [{ country: "JP", after_date: "1969-12-31", before_date: "1970-02-01" }, /^Error: .*1970 to 2076/],
    [{ country: "JP", after_date: "2076-12-01", before_date: "2077-01-02" }, /^Error: .*1970 to 2076/],
    [{ country: "JP", after_date: "2020-01-01", before_date: "2027-01-01" }, /^Error: .*5 years/],
  ])("%j", async (args, message) => {
    expect(await ask(args)).toMatch(message);
    expect(calendarAsked).toBe(0);
  });

  test.each([{ country: "" }, { country: " " }, { country: "x".repeat(101) }, { region: 7 }])(
    "%j names the argument",
    async (args) => {
      const content = await ask(args);
      expect(content).toMatch(/^Error: Wrong arguments for get_holidays/);
      expect(content).toContain(Object.keys(args)[0]);
    },
  );
});

const codes = Object.keys(new Rules().getCountries());

test("every country has holidays in every year, in order, and a span holds those of its days alone", async () => {
  const day = (at: number) => new Date(at).toISOString().slice(0, 10);
  const start = fc.integer({ min: Date.UTC(1970, 0, 1), max: Date.UTC(2075, 11, 1) });
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(...codes), start, fc.nat(365), async (country, at, length) => {
      const [first, end] = [day(at), day(at + 366 * 86_400_000)];
      const { holidays } = await countryHolidays({ country, region: null }, first, end);
      expect(holidays.length).toBeGreaterThan(0);
      expect(holidays.map(({ date }) => date)).toEqual(holidays.map(({ date }) => date).toSorted());
      for (const { date, lastDate, name } of holidays) {
        expect(date).toMatch(/^\d{4}-\d\d-\d\d$/);
        expect(lastDate >= date && lastDate >= first && date < end).toBe(true);
        expect(name).not.toBe("");
      }
      const before = day(at + length * 86_400_000);
      if (length === 0) return;
      const part = await countryHolidays({ country, region: null }, first, before);
      expect(part.holidays).toEqual(holidays.filter(({ date }) => date < before));
    }),
    { numRuns: 60 },
  );
});

test("any place is known or an error that says what to give", async () => {
  const text = fc.string({ unit: "binary", minLength: 1, maxLength: 40 });
  await fc.assert(
    fc.asyncProperty(text, fc.option(text), async (country, region) => {
      const outcome = await countryHolidays({ country, region }, "2026-01-01", "2027-01-01").catch(
        (error: unknown) => error,
      );
      if (outcome instanceof AppError) expect(outcome.code).toBe("invalid_argument");
      else expect(outcome).toHaveProperty("holidays");
    }),
    { numRuns: 50 },
  );
});

test("the days are the same wherever the process believes to be", () => {
  const program = `
    import { countryHolidays } from "@parley/core/holidays/country-holidays";
    const days = [];
    for (const country of ["JP", "US", "AU", "IL", "SA", "CN", "NZ", "GB", "IR", "AT"]) {
      days.push(await countryHolidays({ country, region: null }, "2025-01-01", "2027-01-01"));
    }
    console.log(JSON.stringify(days));`;
  const daysIn = (zone: string) =>
    spawnSync(process.execPath, ["--input-type=module", "-e", program], {
      env: { ...process.env, TZ: zone },
      encoding: "utf8",
    });
  const [utc, ...others] = ["UTC", "America/Los_Angeles", "Pacific/Apia", "Europe/Vienna"].map(daysIn);
  expect(utc?.status, utc?.stderr).toBe(0);
  // A Sunday on which clocks go back.
  expect(utc?.stdout).toContain('{"date":"2025-10-26","lastDate":"2025-10-26","name":"National Holiday');
  for (const other of others) expect(other.stdout).toBe(utc?.stdout);
});
