import { UpstreamError } from "@parley/core/resilience/upstream-error";
import { OpenMeteo } from "@parley/core/weather/open-meteo";
import { PlaceNotFoundError } from "@parley/core/weather/types";
import { type Host, json, startHost } from "@parley/local/simulators/http";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";

type Named = { name: string; admin1?: string; admin2?: string; country?: string; country_code?: string };

let host: Host;
/** What the search finds, by the name that it is asked for. */
let found: Record<string, Named[]>;
let change: (body: Record<string, Record<string, unknown>>) => void;
let provider: OpenMeteo;

beforeAll(async () => {
  host = await startHost({
    answer: ({ path, query }) => {
      if (path === "/v1/search") {
        const results = (found[query.get("name") ?? ""] ?? []).map((each, index) => ({
          id: index,
          latitude: index + 1,
          longitude: -index - 1,
          ...each,
        }));
        return json(200, { ...(results.length > 0 && { results }), generationtime_ms: 1 });
      }
      const body = structuredClone(BODY);
      change(body);
      return json(200, { latitude: 1, longitude: 1, timezone: "Europe/Paris", ...body });
    },
    fail: ({ status }) => json(status, { error: true, reason: "told to" }),
    malformed: { status: 200, body: "{" },
  });
});
afterAll(() => host.close());
beforeEach(() => {
  host.reset();
  found = { Paris: [{ name: "Paris", admin1: "Île-de-France", country: "France", country_code: "FR" }] };
  change = () => {};
  provider = new OpenMeteo({ forecastUrl: `${host.origin}/v1/`, geocodingUrl: `${host.origin}/v1` });
});

const BODY: Record<string, Record<string, unknown>> = {
  current_units: {
    temperature_2m: "°C",
    apparent_temperature: "°C",
    relative_humidity_2m: "%",
    wind_speed_10m: "km/h",
    wind_direction_10m: "°",
    weather_code: "wmo code",
  },
  current: {
    time: "2026-11-22T15:30",
    temperature_2m: 11.5,
    apparent_temperature: 9,
    relative_humidity_2m: 71,
    weather_code: 61,
    wind_speed_10m: 14.4,
    wind_direction_10m: 348,
  },
  daily_units: { temperature_2m_min: "°C", temperature_2m_max: "°C", weather_code: "wmo code" },
  daily: {
    time: ["2026-11-22", "2026-11-23"],
    temperature_2m_min: [5.1, 4],
    temperature_2m_max: [12.9, 10.2],
    weather_code: [3, 80],
    precipitation_probability_max: [10, 85],
  },
};

const signal = () => AbortSignal.timeout(5_000);
const current = (location: string) => provider.current(location, signal());
const forecast = (location: string) => provider.forecast(location, 10, signal());
const asked = () => host.requests.map(({ path }) => new URL(path, host.origin));
const names = () =>
  asked().flatMap(({ pathname, searchParams }) =>
    pathname === "/v1/search" ? [searchParams.get("name")] : [],
  );

test("the weather now", async () => {
  expect(await current("Paris")).toEqual({
    place: { name: "Paris", region: "Île-de-France", country: "France", timezone: "Europe/Paris" },
    localTime: "2026-11-22 15:30",
    temperatureC: 11.5,
    feelsLikeC: 9,
    condition: "Slight rain",
    humidity: 71,
    windKph: 14.4,
    windDirection: "NNW",
  });
  const [search, weather] = asked();
  expect(Object.fromEntries(search?.searchParams ?? [])).toEqual({
    name: "Paris",
    count: "10",
    language: "en",
    format: "json",
  });
  expect(weather?.pathname).toBe("/v1/forecast");
  expect(Object.fromEntries(weather?.searchParams ?? [])).toEqual({
    latitude: "1",
    longitude: "-1",
    timezone: "auto",
    current:
      "temperature_2m,apparent_temperature,relative_humidity_2m,weather_code,wind_speed_10m,wind_direction_10m",
  });
});

test("a forecast", async () => {
  expect((await forecast("Paris")).days).toEqual([
    { date: "2026-11-22", minC: 5.1, maxC: 12.9, condition: "Overcast", chanceOfRain: 10 },
    { date: "2026-11-23", minC: 4, maxC: 10.2, condition: "Slight rain showers", chanceOfRain: 85 },
  ]);
  expect(asked()[1]?.searchParams.get("forecast_days")).toBe("10");
});

test("coordinates are not searched for", async () => {
  const { place } = await current("48.85, 2.35");
  expect(place).toEqual({ name: "48.85, 2.35", region: "", country: "", timezone: "Europe/Paris" });
  expect(names()).toEqual([]);
});

describe("a day that cannot be told yet", () => {
  test.each(["temperature_2m_min", "temperature_2m_max", "weather_code"])(
    "for want of its %s is left out",
    async (variable) => {
      change = ({ daily }) => {
        if (daily) daily[variable] = [3, null];
      };
      expect((await forecast("Paris")).days.map(({ date }) => date)).toEqual(["2026-11-22"]);
    },
  );

  test("for want of a chance of rain says nothing of rain", async () => {
    change = ({ daily }) => {
      if (daily) daily["precipitation_probability_max"] = [null, 85];
    };
    expect((await forecast("Paris")).days.map(({ chanceOfRain }) => chanceOfRain)).toEqual([null, 85]);
  });
});

describe("what is not metric is refused, not shown as if it were", () => {
  test.each([
    ["current_units", "temperature_2m", "°F"],
    ["current_units", "apparent_temperature", "K"],
    ["current_units", "wind_speed_10m", "mph"],
    ["current_units", "weather_code", "our own code"],
    ["daily_units", "temperature_2m_max", "°F"],
  ])("%s %s in %s", async (group, variable, unit) => {
    change = (body) => {
      const units = body[group];
      if (units) units[variable] = unit;
    };
    const ask = group === "daily_units" ? forecast : current;
    expect(await ask("Paris").catch((error) => error)).toBeInstanceOf(UpstreamError);
  });
});

describe("of several places of one name", () => {
  const springfields: Named[] = [
    { name: "Springfield", admin1: "Missouri", country: "United States", country_code: "US" },
    { name: "Springfield", admin1: "Massachusetts", country: "United States", country_code: "US" },
    { name: "Springfield", admin1: "Otago", admin2: "Waitaki", country: "New Zealand", country_code: "NZ" },
  ];

  test("the first is taken, and the answer says where it is", async () => {
    found = { Springfield: springfields };
    expect((await current("Springfield")).place).toMatchObject({ region: "Missouri" });
  });

  test.each([
    ["Springfield, Massachusetts", "Massachusetts"],
    ["Springfield,NZ", "Otago"],
    ["Springfield, new zealand", "Otago"],
    ["Springfield, Waitaki, New Zealand", "Otago"],
    ["Springfield, Massachusetts, US", "Massachusetts"],
  ])("%j is the one that lies there, whether or not the search knows areas", async (location, region) => {
    found = { Springfield: springfields };
    expect((await current(location)).place).toMatchObject({ region });
    expect(names()).toEqual([location, "Springfield"]);
    host.reset();
    found = { [location]: springfields };
    expect((await current(location)).place).toMatchObject({ region });
    expect(names()).toEqual([location]);
  });

  test("what the search found for an abbreviation that we do not know is taken", async () => {
    found = { "Springfield, MO": springfields.slice(0, 1) };
    expect((await current("Springfield, MO")).place).toMatchObject({ region: "Missouri" });
  });

  test("none that lies elsewhere is taken instead", async () => {
    found = { Springfield: springfields };
    const outcome = await current("Springfield, Japan").catch((error) => error);
    expect(outcome).toBeInstanceOf(PlaceNotFoundError);
  });
});

test("what is empty may be missing", async () => {
  found = { Atlantis: [{ name: "Atlantis" }] };
  expect((await current("Atlantis")).place).toMatchObject({ name: "Atlantis", region: "", country: "" });
});

test.each([
  ["München", "München"],
  ["東京", "東京"],
  ["Foo & Bar?x=#%", "Foo & Bar?x=#%"],
])("%j is asked for as it is, as one name", async (location, name) => {
  found = { [name]: [{ name }] };
  expect((await current(location)).place.name).toBe(name);
  expect(asked()[0]?.searchParams.getAll("name")).toEqual([name]);
});

test("a customer's key goes along, and without one none does", async () => {
  await current("Paris");
  expect(host.requests.some(({ path }) => path.includes("apikey"))).toBe(false);
  host.reset();
  const url = `${host.origin}/v1`;
  await new OpenMeteo({ forecastUrl: url, geocodingUrl: url, key: "k" }).current("Paris", signal());
  expect(host.requests.map(({ path }) => path.includes("apikey=[redacted]"))).toEqual([true, true]);
});
