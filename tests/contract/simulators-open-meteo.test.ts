import { type OpenMeteoSimulator, startOpenMeteo } from "@parley/local/simulators/open-meteo";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";

const now = new Date("2026-11-22T14:40:12Z");
let simulator: OpenMeteoSimulator;
beforeAll(async () => {
  simulator = await startOpenMeteo({ now: () => now });
});
afterEach(() => simulator.reset());
afterAll(() => simulator.close());

async function get(path: string, query: Record<string, string>) {
  const response = await fetch(`${simulator.url}/${path}?${new URLSearchParams(query)}`);
  return { status: response.status, body: (await response.json()) as Record<string, unknown> };
}
const search = (name: string, more = {}) => get("search", { name, ...more });
const BARCELONA = { latitude: "41.38", longitude: "2.18" };
const forecast = (query: Record<string, string>) => get("forecast", { ...BARCELONA, ...query });
const refusal = (reason: RegExp | string) => ({
  status: 400,
  body: { error: true, reason: expect.stringMatching(reason) },
});

describe("search", () => {
  test("has the real shape", async () => {
    expect((await search("barcelona")).body).toEqual({
      results: [
        {
          id: expect.any(Number),
          name: "Barcelona",
          latitude: 41.38,
          longitude: 2.18,
          elevation: expect.any(Number),
          feature_code: "PPL",
          country_code: "ES",
          timezone: "Europe/Madrid",
          country: "Spain",
          admin1: "Catalonia",
        },
      ],
      generationtime_ms: expect.any(Number),
    });
  });

  test.each([
    ["London, United Kingdom", "GB"],
    ["New York, USA", "US"],
    ["Prague", "CZ"],
    ["Istanbul", "TR"],
    ["Kinshasa", "CD"],
    ["Hong Kong", "HK"],
    ["Barcelona, Catalonia, Spain", "ES"],
    ["Paris, Nowhere", "FR"],
    ["Barcelona, Japan", undefined],
    ["Xyzzy", undefined],
    ["B", undefined],
    ["", undefined],
  ])("%j lies in %s", async (name, code) => {
    const { status, body } = await search(name);
    expect(status).toBe(200);
    if (code === undefined) expect(body).not.toHaveProperty("results");
    else expect(body["results"]).toMatchObject([{ country_code: code }]);
  });

  test.each(["0", "101", "x"])("count=%s is refused", async (count) => {
    expect(await search("Paris", { count })).toEqual(refusal("count must be between 1 and 100"));
  });
});

describe("forecast", () => {
  test("has the variables that were asked for, with their units, and no others", async () => {
    const { body } = await forecast({
      current: "temperature_2m,weather_code",
      daily: "temperature_2m_max,precipitation_probability_max",
      timezone: "auto",
      forecast_days: "2",
    });
    expect(body).toMatchObject({
      timezone: "Europe/Madrid",
      current_units: {
        time: "iso8601",
        interval: "seconds",
        temperature_2m: "°C",
        weather_code: "wmo code (simulated)",
      },
      current: { time: "2026-11-22T15:30", interval: 900, temperature_2m: expect.any(Number) },
      daily_units: { time: "iso8601", temperature_2m_max: "°C", precipitation_probability_max: "%" },
      daily: {
        time: ["2026-11-22", "2026-11-23"],
        temperature_2m_max: [expect.any(Number), expect.any(Number)],
      },
    });
    expect(Object.keys(body["current"] as object)).toHaveLength(4);
    expect(Object.keys(body["daily"] as object)).toHaveLength(3);
  });

  test("is in GMT and of seven days unless told", async () => {
    const { body } = await forecast({ daily: "weather_code" });
    expect(body).toMatchObject({ timezone: "GMT", daily: { time: { length: 7 } } });
    expect(body).not.toHaveProperty("current");
  });

  test("is there at sea too, by the sun", async () => {
    const { body } = await get("forecast", {
      latitude: "0",
      longitude: "-140",
      current: "temperature_2m",
      timezone: "auto",
    });
    expect(body).toMatchObject({ timezone: "Etc/GMT+9", current: { time: "2026-11-22T05:30" } });
  });

  test.each([
    [{ latitude: "91" }, "Latitude must be in range"],
    [{ longitude: "-181" }, "Longitude must be in range"],
    [{ latitude: "" }, "latitude"],
    [{ latitude: "x" }, "latitude"],
    [{ forecast_days: "17" }, "Forecast days is invalid"],
    [{ current: "temperature_2m,constructor" }, "constructor"],
    [{ daily: "toString" }, "toString"],
    [{ apikey: "bad-key" }, "API key is invalid"],
  ])("%j is refused", async (query, reason) => {
    expect(await forecast({ current: "temperature_2m", ...query })).toEqual(refusal(reason));
  });
});

test("an unknown path, an injected failure, a place that is told not to be found, and the key out of the record", async () => {
  expect((await get("archive", {})).status).toBe(404);
  simulator.inject({ status: 429, message: "Too many", times: 1 });
  expect(await search("Paris")).toEqual({ status: 429, body: { error: true, reason: "Too many" } });
  simulator.inject({ status: 500, code: "no_place", times: 1 });
  expect((await search("Paris")).body).not.toHaveProperty("results");
  await search("Paris", { apikey: "hunter2" });
  expect(simulator.requests.at(-1)?.path).toContain("apikey=[redacted]");
});
