import { sha256 } from "@parley/core/redis/keys";
import { describe, expect, test } from "vitest";
import { HOUR_MS, MINUTE_MS } from "../support/clock.ts";
import { datesOf, UNAVAILABLE, weatherSuite } from "../support/weather.ts";

const suite = weatherSuite();
const { clock, instance, keys, setClock } = suite;

/** What the provider was asked, without the secret. */
const asked = () =>
  suite.provider.requests.map(({ path }) => new URL(path, suite.provider.origin).searchParams);

describe("what the tool says", () => {
  test("of now", async () => {
    expect(await instance().ask("Barcelona")).toMatch(
      /^Weather in Barcelona, Catalonia, Spain \(local time 2026-11-22 15:40\): -?[\d.]+ °C, [\w -]+ \(simulated\), feels like -?[\d.]+ °C, humidity \d+ %, wind [\d.]+ km\/h [NESW]+\nSource: WeatherAPI\.com$/,
    );
  });

  test("of the coming days", async () => {
    const lines = (await instance().ask("Paris", 3)).split("\n");
    expect(lines[0]).toBe("Forecast for Paris, Ile-de-France, France:");
    expect(lines).toHaveLength(5);
    expect(lines.at(-1)).toBe("Source: WeatherAPI.com");
    for (const [index, line] of lines.slice(1, -1).entries()) {
      expect(line).toMatch(
        new RegExp(
          `^2026-11-2${2 + index}: -?[\\d.]+ to -?[\\d.]+ °C, [\\w -]+ \\(simulated\\), chance of rain \\d+ %$`,
        ),
      );
    }
  });

  test("names a place once although region and country are called the same", async () => {
    expect(await instance().ask("Singapore")).toContain("Weather in Singapore (local time");
  });

  test.each([
    [{ location: "" }, "location"],
    [{ location: "   " }, "location"],
    [{ location: "x".repeat(201) }, "location"],
    [{ location: 7 }, "location"],
    [{ location: "Barcelona", days: 0 }, "days"],
    [{ location: "Barcelona", days: 11 }, "days"],
    [{ location: "Barcelona", days: 1.5 }, "days"],
    [{ location: "Barcelona", days: "2" }, "days"],
  ])(
    "to %j names the argument",
    async ({ location, days = null }: { location: unknown; days?: unknown }, name) => {
      const content = await instance().ask(location, days);
      expect(content).toMatch(/^Error: Wrong arguments for get_weather/);
      expect(content).toContain(name);
      expect(suite.provider.total()).toBe(0);
    },
  );
});

describe("the place", () => {
  test("does not show in any key", async () => {
    const { ask } = instance();
    await ask("Barcelona");
    await ask("Barcelona", 2);
    expect(await keys()).toEqual([
      `weather:current:${sha256("barcelona")}`,
      `weather:forecast:${sha256("barcelona")}`,
    ]);
    await ask("Bar:celona*\n{tag}");
    for (const key of await keys())
      expect(key).toMatch(/^(weather:\w+:[0-9a-f]{64}|breaker:\{weatherapi\}:\w+)$/);
  });

  test.each([
    ["Barcelona", ["  barcelona ", "BARCELONA", "Ｂａｒｃｅｌｏｎａ", "barcelona\u00a0"]],
    ["New York", ["new\tyork", "NEW   YORK", "New\u3000York"]],
    ["M\u00fcnchen", ["Mu\u0308nchen", "MÜNCHEN"]],
  ])("%j is asked for once, however it is written", async (place, spellings) => {
    const { ask } = instance();
    const first = await ask(place);
    expect(first).toMatch(/^Weather in/);
    for (const spelling of spellings) expect(await ask(spelling)).toBe(first);
    expect(suite.provider.total()).toBe(1);
  });

  test.each([
    "a&key=x#?%",
    "../",
    "../../admin?x=1",
    "q=Paris&days=3",
    "Barcelona?aqi=yes",
    "%2e%2e%2f%00",
    "https://example.org/?q=1",
    "a+b c",
    "日本 💥",
    'Robert"); DROP TABLE--',
    "\u0001\u007f",
  ])("%j reaches the provider as it is, as one q", async (place) => {
    await instance().ask(place);
    await instance().ask(place, 2);
    expect(suite.provider.total()).toBe(2);
    for (const { path } of suite.provider.requests) {
      const { pathname, searchParams } = new URL(path, suite.provider.origin);
      expect(pathname).toMatch(/^\/v1\/(current|forecast)\.json$/);
      expect(searchParams.getAll("q")).toEqual([place]);
      expect(searchParams.getAll("key")).toEqual(["[redacted]"]);
      expect(searchParams.getAll("aqi")).toEqual(["no"]);
    }
  });

  test("half a character is replaced, not a failure", async () => {
    expect(await instance().ask("Barcelona\ud83d")).toMatch(/^Error: No place called/);
    expect(asked()[0]?.get("q")).toBe("Barcelona\ufffd");
  });

  test("that does not exist is not found, is not kept and says nothing of the provider's health", async () => {
    const { ask } = instance();
    for (let time = 0; time < 5; time++) {
      expect(await ask("Xyzzyville")).toBe('Error: No place called "Xyzzyville" was found.');
    }
    expect(suite.provider.total()).toBe(5);
    expect(await keys()).toEqual([]);
    expect(await ask("Barcelona")).toMatch(/^Weather in Barcelona/);
  });
});

describe("the cache", () => {
  test("holds the weather for an hour, for all instances", async () => {
    const first = await instance().ask("Barcelona");
    clock.advance(HOUR_MS - MINUTE_MS);
    expect(await instance().ask("Barcelona")).toBe(first);
    expect(suite.provider.total()).toBe(1);
    clock.advance(2 * MINUTE_MS);
    const { ask, telemetry } = instance();
    expect(await ask("Barcelona")).toContain("(local time 2026-11-22 16:4");
    expect(suite.provider.total()).toBe(2);
    expect(telemetry.counts).toContainEqual({
      metric: "CacheMisses",
      value: 1,
      dimensions: { cache: "weather-current" },
    });
  });

  test("holds a forecast for three hours, however many days are asked for", async () => {
    await instance().ask("Barcelona", 1);
    expect(asked().map((query) => query.get("days"))).toEqual(["10"]);
    clock.advance(3 * HOUR_MS - MINUTE_MS);
    expect(datesOf(await instance().ask("Barcelona", 10))).toHaveLength(10);
    expect(suite.provider.total()).toBe(1);
    clock.advance(2 * MINUTE_MS);
    await instance().ask("Barcelona", 2);
    expect(suite.provider.total()).toBe(2);
  });

  test("thirty instances that miss at once make one request", async () => {
    suite.provider.inject({ delayMs: 200, times: 1 });
    const answers = await Promise.all(Array.from({ length: 30 }, () => instance().ask("Barcelona")));
    expect(suite.provider.total()).toBe(1);
    expect(new Set(answers).size).toBe(1);
    expect(answers[0]).toMatch(/^Weather in Barcelona/);
  });

  test("an instance that dies while it asks leaves that to one other", async () => {
    await suite.redis.rest.command(
      "SET",
      `lock:weather:current:${sha256("barcelona")}`,
      "a dead one",
      "PX",
      "400",
    );
    const answers = await Promise.all(Array.from({ length: 10 }, () => instance().ask("Barcelona")));
    expect(suite.provider.total()).toBe(1);
    for (const answer of answers) expect(answer).toMatch(/^Weather in Barcelona/);
  });

  test("is not needed: without Redis each question is answered by the provider", async () => {
    suite.redis.gateway.fault = "refuse";
    const { ask } = instance();
    expect(await ask("Barcelona")).toMatch(/^Weather in Barcelona/);
    expect(await ask("Barcelona", 2)).toMatch(/^Forecast for Barcelona/);
    expect(await ask("Xyzzyville")).toBe('Error: No place called "Xyzzyville" was found.');
    expect(suite.provider.total()).toBe(3);
    suite.provider.inject({ status: 500 });
    expect(await ask("Barcelona")).toBe(UNAVAILABLE);
  });
});

describe("a forecast's days are the place's own", () => {
  test.each([
    // Ahead of UTC, behind it, and where it is the same day.
    ["Tokyo", "2026-11-22T16:30:00Z", "2026-11-23"],
    ["Auckland", "2026-11-22T11:30:00Z", "2026-11-23"],
    ["Honolulu", "2026-11-22T08:30:00Z", "2026-11-21"],
    ["Madrid", "2026-11-22T22:30:00Z", "2026-11-22"],
  ])("%s at %s begins at %s", async (place, now, first) => {
    setClock(now);
    expect(datesOf(await instance().ask(place, 1))).toEqual([first]);
  });

  test.each([
    ["Madrid", "2026-11-22T22:30:00Z"],
    ["Tokyo", "2026-11-22T14:30:00Z"],
    ["Honolulu", "2026-11-22T09:30:00Z"],
  ])("kept over %s's midnight it loses yesterday, without another request", async (place, before) => {
    setClock(before);
    const [first, second] = datesOf(await instance().ask(place, 2));
    clock.advance(HOUR_MS);
    expect(datesOf(await instance().ask(place, 1))).toEqual([second]);
    const ten = await instance().ask(place, 10);
    expect(datesOf(ten)).toHaveLength(9);
    expect(datesOf(ten)).not.toContain(first);
    expect(ten).toContain("Note: the provider gives only 9 of the 10 days.");
    expect(suite.provider.total()).toBe(1);
  });

  test("when the clocks change too", async () => {
    setClock("2026-03-28T22:30:00Z");
    const [today, tomorrow] = datesOf(await instance().ask("Madrid", 2));
    expect([today, tomorrow]).toEqual(["2026-03-28", "2026-03-29"]);
    setClock("2026-03-28T23:30:00Z");
    expect(datesOf(await instance().ask("Madrid", 1))).toEqual([tomorrow]);
  });
});
