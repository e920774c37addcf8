import { startWeather, type WeatherSimulator } from "@parley/local/simulators/weather";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { fc } from "../support/property.ts";

let now = new Date("2026-11-22T14:40:12Z");
let weather: WeatherSimulator;
beforeAll(async () => {
  weather = await startWeather({ now: () => now });
});
afterEach(() => {
  now = new Date("2026-11-22T14:40:12Z");
  weather.reset();
});
afterAll(() => weather.close());

type Day = {
  date: string;
  day: {
    mintemp_c: number;
    maxtemp_c: number;
    avgtemp_c: number;
    daily_chance_of_rain: number;
    daily_chance_of_snow: number;
    condition: { text: string };
  };
};
type Body = {
  location: { name: string };
  current: { temp_c: number };
  forecast: { forecastday: Day[] };
  error: { code: number };
};

async function get(file: string, query: Record<string, string>) {
  const response = await fetch(`${weather.url}/${file}?${new URLSearchParams({ aqi: "no", ...query })}`);
  return { status: response.status, body: (await response.json()) as Body };
}
const current = (q: string) => get("current.json", { key: "k", q });
const forecast = (q: string, days: string) => get("forecast.json", { key: "k", q, days });

describe("current.json", () => {
  test("has the real shape, in the place's own time", async () => {
    const { status, body } = await current("Barcelona");
    expect(status).toBe(200);
    expect(body.location).toEqual({
      name: "Barcelona",
      region: "Catalonia",
      country: "Spain",
      lat: 41.38,
      lon: 2.18,
      tz_id: "Europe/Madrid",
      localtime_epoch: 1795358412,
      localtime: "2026-11-22 15:40",
    });
    expect(body.current).toMatchObject({
      last_updated: "2026-11-22 15:30",
      last_updated_epoch: 1795357800,
      temp_c: expect.any(Number),
      temp_f: expect.any(Number),
      is_day: 1,
      condition: {
        text: expect.stringMatching(/ \(simulated\)$/),
        icon: expect.any(String),
        code: expect.any(Number),
      },
      wind_kph: expect.any(Number),
      wind_dir: expect.stringMatching(/^[NESW]{1,3}$/),
      humidity: expect.any(Number),
      feelslike_c: expect.any(Number),
      precip_mm: expect.any(Number),
      uv: expect.any(Number),
    });
    expect(body.forecast).toBeUndefined();
  });

  test.each([
    ["barcelona", "Barcelona"],
    ["BARCELONA, SPAIN", "Barcelona"],
    ["Barcelona, Catalonia, Spain", "Barcelona"],
    ["São Paulo", "Sao Paulo"],
    ["Köln", "Cologne"],
    ["Kraków", "Krakow"],
    ["new  york", "New York"],
    ["St. Petersburg", "Saint Petersburg"],
    ["Washington, D.C.", undefined],
    ["Washington D.C.", "Washington"],
    ["41.4,2.1", "Barcelona"],
    ["-33.9, 151.2", "Sydney"],
    ["Japan", "Tokyo"],
    ["London, UK", "London"],
    ["Xyzzy", undefined],
    ["Barcelona, Japan", undefined],
    ["0,-140", undefined],
    ["91,0", undefined],
    ["constructor", undefined],
    ["Foo&bar=1/../?x#y%20", undefined],
  ])("%j is %s", async (q, name) => {
    const { status, body } = await current(q);
    if (name !== undefined) expect(body.location.name).toBe(name);
    else
      expect([status, body]).toEqual([
        400,
        { error: { code: 1006, message: "No matching location found." } },
      ]);
  });
});

describe("forecast.json", () => {
  test("has a day for each asked day, today first, and the current weather within today's span", async () => {
    const { body } = await forecast("Barcelona", "10");
    const days = body.forecast.forecastday;
    expect(days).toHaveLength(10);
    expect(new Set(days.map(({ day }) => day.daily_chance_of_rain)).size).toBeGreaterThan(5);
    expect(days.map(({ date }) => date).slice(0, 2)).toEqual(["2026-11-22", "2026-11-23"]);
    for (const { day } of days) {
      expect(day.mintemp_c).toBeLessThan(day.maxtemp_c);
      expect(day.condition.text).toMatch(/ \(simulated\)$/);
      expect(day.daily_chance_of_rain + day.daily_chance_of_snow).toBeLessThanOrEqual(100);
    }
    expect(body.current.temp_c).toBeGreaterThanOrEqual(days[0]!.day.mintemp_c);
    expect(body.current.temp_c).toBeLessThanOrEqual(days[0]!.day.maxtemp_c);
  });

  test("a day's weather is the same whenever and from whichever server it is asked", async () => {
    const ahead = (await forecast("Tokyo", "5")).body.forecast.forecastday[3]!;
    now = new Date("2026-11-25T01:00:00Z");
    const other = await startWeather({ now: () => now });
    const query = new URLSearchParams({ key: "k", q: "Tokyo" });
    const there = (await (await fetch(`${other.url}/forecast.json?${query}`)).json()) as Body;
    await other.close();
    expect(there.forecast.forecastday).toEqual([ahead]);
    const elsewhere = (await forecast("Oslo", "5")).body.forecast.forecastday[0]!;
    expect(elsewhere.day).not.toEqual(ahead.day);
  });

  test("today is the place's own day", async () => {
    now = new Date("2026-11-22T23:30:00Z");
    const dates = [];
    for (const q of ["Honolulu", "London", "Auckland"]) {
      dates.push((await forecast(q, "1")).body.forecast.forecastday[0]!.date);
    }
    expect(dates).toEqual(["2026-11-22", "2026-11-22", "2026-11-23"]);
  });

  test.each(["0", "15", "-1", "1.5", "x", ""])("days=%j is refused", async (days) => {
    expect((await forecast("Barcelona", days)).status).toBe(400);
  });

  test("temperatures follow the seasons of both hemispheres", async () => {
    const mean = async (q: string, at: string) => {
      now = new Date(at);
      const days = (await forecast(q, "14")).body.forecast.forecastday;
      return days.reduce((sum, { day }) => sum + day.avgtemp_c, 0) / days.length;
    };
    expect(await mean("Madrid", "2026-07-15T12:00:00Z")).toBeGreaterThan(
      (await mean("Madrid", "2026-01-15T12:00:00Z")) + 8,
    );
    expect(await mean("Sydney", "2026-01-15T12:00:00Z")).toBeGreaterThan(
      (await mean("Sydney", "2026-07-15T12:00:00Z")) + 5,
    );
  });
});

describe("errors", () => {
  test.each<[Record<string, string>, number, number]>([
    [{ q: "Paris" }, 401, 1002],
    [{ key: "", q: "Paris" }, 401, 1002],
    [{ key: "bad-key", q: "Paris" }, 401, 2006],
    [{ key: "quota-key", q: "Paris" }, 403, 2007],
    [{ key: "k" }, 400, 1003],
    [{ key: "k", q: "  " }, 400, 1003],
  ])("%j -> %i, code %i", async (query, status, code) => {
    for (const file of ["current.json", "forecast.json"]) {
      expect(await get(file, query)).toEqual({
        status,
        body: { error: { code, message: expect.any(String) } },
      });
    }
  });

  test("an unknown path, an injected failure, and the key kept out of the record", async () => {
    expect((await get("history.json", { key: "k", q: "Paris" })).body.error.code).toBe(1005);
    weather.inject({ status: 403, code: 2007, times: 1 });
    expect(await current("Paris")).toMatchObject({ status: 403, body: { error: { code: 2007 } } });
    expect(weather.requests.at(-1)?.path).toContain("key=[redacted]");
  });
});

test("any place name gets weather or 1006", async () => {
  await fc.assert(
    fc.asyncProperty(fc.string({ unit: "binary", maxLength: 60 }), async (q) => {
      const { status, body } = await current(q);
      if (status !== 200) expect([1003, 1006]).toContain(body.error.code);
    }),
    { numRuns: 200 },
  );
});
