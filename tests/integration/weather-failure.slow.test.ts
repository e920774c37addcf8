import { setTimeout as sleep } from "node:timers/promises";
import { inspect } from "node:util";
import type { Fault } from "@parley/local/simulators/faults";
import { startHost } from "@parley/local/simulators/http";
import { startWeather } from "@parley/local/simulators/weather";
import { describe, expect, test } from "vitest";
import { HOUR_MS, MINUTE_MS } from "../support/clock.ts";
import { datesOf, UNAVAILABLE, WEATHER_KEY, weatherSuite } from "../support/weather.ts";

const suite = weatherSuite();
const { clock, instance, keys } = suite;

/** Short where it is waited for. */
const timeLimit = ({ hang }: Fault) => (hang ? 250 : 5_000);

const down: [string, Fault][] = [
  ["errors", { status: 500 }],
  ["too many requests", { status: 429 }],
  ["cuts", { cut: true }],
  ["nonsense", { malformed: true }],
  ["silence", { hang: true }],
];

describe("a provider that is down", () => {
  test.each(down)("by %s: unavailable when nothing is kept, and nothing is invented", async (_, fault) => {
    suite.provider.inject(fault);
    const { ask, telemetry } = instance({ callTimeoutMs: timeLimit(fault) });
    const startedAt = performance.now();
    expect(await ask("Barcelona")).toBe(UNAVAILABLE);
    expect(await ask("Barcelona", 2)).toBe(UNAVAILABLE);
    expect(performance.now() - startedAt).toBeLessThan(4_000);
    const log = inspect(telemetry.warnings, { depth: 9 });
    expect(log).toContain("WeatherAPI.com");
    expect(log).not.toContain(WEATHER_KEY);
  });

  test.each(down)("by %s: what is kept serves, marked with its age, after one attempt", async (_, fault) => {
    const before = await instance().ask("Barcelona");
    suite.provider.inject(fault);
    clock.advance(2 * HOUR_MS);
    const { ask, telemetry } = instance({ callTimeoutMs: timeLimit(fault) });
    expect(await ask("Barcelona")).toBe(
      `${before}\nNote: this data is 2 h old; the weather provider could not be asked for newer. Say so.`,
    );
    expect(suite.provider.total()).toBe(2);
    expect(telemetry.total("Retries")).toBe(0);
    expect(telemetry.total("CacheStale")).toBe(1);
  });

  test.each([
    ["current", null, 61, "61 min"],
    ["current", null, 89, "89 min"],
    ["current", null, 90, "2 h"],
    ["current", null, 23 * 60, "23 h"],
    ["forecast", 2, 181, "3 h"],
    ["forecast", 2, 24 * 60 - 1, "24 h"],
  ])("%s weather (days %j) of %i minutes ago is %s old", async (_, days, minutes, age) => {
    await instance().ask("Barcelona", days);
    suite.provider.inject({ status: 500 });
    clock.advance(minutes * MINUTE_MS);
    expect((await instance().ask("Barcelona", days)).split("\n").at(-1)).toBe(
      `Note: this data is ${age} old; the weather provider could not be asked for newer. Say so.`,
    );
  });

  test.each([null, 2])("weather (days %j) of a day ago is too old", async (days) => {
    await instance().ask("Barcelona", days);
    suite.provider.inject({ status: 500 });
    clock.advance(24 * HOUR_MS);
    expect(await instance().ask("Barcelona", days)).toBe(UNAVAILABLE);
  });

  test("a stale forecast does not begin in the past", async () => {
    await instance().ask("Barcelona", 2);
    suite.provider.inject({ status: 500 });
    clock.advance(20 * HOUR_MS);
    const text = await instance().ask("Barcelona", 10);
    expect(datesOf(text)).toEqual(
      Array.from({ length: 9 }, (_, day) =>
        new Date(Date.UTC(2026, 10, 23 + day)).toISOString().slice(0, 10),
      ),
    );
    expect(text).toContain("only 9 of the 10 days");
    expect(text).toContain("20 h old");
  });

  test("a place that is gone meanwhile is not answered from the cache", async () => {
    await instance().ask("Barcelona");
    clock.advance(2 * HOUR_MS);
    suite.provider.inject({ status: 400, code: 1006 });
    expect(await instance().ask("Barcelona")).toBe('Error: No place called "Barcelona" was found.');
  });

  test("fresh weather is served without asking", async () => {
    const first = await instance().ask("Barcelona");
    suite.provider.inject({ status: 500 });
    expect(await instance().ask("Barcelona")).toBe(first);
  });

  const places = [
    "Paris",
    "Rome",
    "Berlin",
    "Madrid",
    "Lisbon",
    "Dublin",
    "Vienna",
    "Prague",
    "Oslo",
    "Athens",
  ];

  test("its circuit opens for all instances", async () => {
    suite.provider.inject({ status: 500 });
    expect(await instance().ask("Barcelona")).toBe(UNAVAILABLE);
    expect(suite.provider.total()).toBe(3);
    const answers = await Promise.all(places.map((place) => instance().ask(place)));
    expect(answers).toEqual(places.map(() => UNAVAILABLE));
    expect(suite.provider.total()).toBe(3);
  });

  test("its circuit closes for all instances when it is back", async () => {
    const cooldownMs = 300;
    suite.provider.inject({ status: 500, times: 3 });
    expect(await instance({ cooldownMs }).ask("Barcelona")).toBe(UNAVAILABLE);
    await sleep(cooldownMs + 20);
    for (const place of places) expect(await instance({ cooldownMs }).ask(place)).toMatch(/^Weather in/);
  });

  test("what is kept serves while the circuit is open", async () => {
    await instance().ask("Barcelona");
    clock.advance(2 * HOUR_MS);
    suite.provider.inject({ status: 500 });
    await instance().ask("Paris");
    const before = suite.provider.total();
    expect(await instance().ask("Barcelona")).toContain("Note: this data is 2 h old");
    expect(suite.provider.total()).toBe(before);
  });
});

describe("a provider that stumbles", () => {
  test.each<[Fault, number]>([
    [{ status: 500, times: 2 }, 3],
    [{ status: 503, times: 1 }, 2],
    [{ status: 408, times: 1 }, 2],
    [{ cut: true, times: 1 }, 2],
    [{ malformed: true, times: 2 }, 3],
    [{ hang: true, times: 1 }, 2],
  ])("%j is got over in %i attempts", async (fault, attempts) => {
    suite.provider.inject(fault);
    const { ask, telemetry } = instance({ callTimeoutMs: timeLimit(fault) });
    expect(await ask("Barcelona")).toMatch(/^Weather in Barcelona/);
    expect(suite.provider.total()).toBe(attempts);
    expect(telemetry.total("Retries")).toBe(attempts - 1);
  });

  test("is given the time that it asks for", async () => {
    suite.provider.inject({ status: 429, retryAfterSeconds: 1, times: 1 });
    const startedAt = performance.now();
    expect(await instance().ask("Barcelona")).toMatch(/^Weather in Barcelona/);
    expect(performance.now() - startedAt).toBeGreaterThan(990);
  });

  test("is not waited for longer than there is time", async () => {
    suite.provider.inject({ status: 429, retryAfterSeconds: 60 });
    const startedAt = performance.now();
    expect(await instance().ask("Barcelona")).toBe(UNAVAILABLE);
    expect(performance.now() - startedAt).toBeLessThan(4_000);
    expect(suite.provider.total()).toBe(1);
  });
});

describe("our own mistakes", () => {
  test.each([
    ["a wrong key", { key: "bad-hunter2" }],
    ["a key that is used up", { key: "quota-hunter2" }],
  ])("%s: unavailable, tried once, the key named in the log and not shown", async (_, options) => {
    const { ask, telemetry } = instance(options);
    for (let time = 0; time < 4; time++) expect(await ask("Barcelona")).toBe(UNAVAILABLE);
    expect(suite.provider.total()).toBe(4);
    const log = inspect(telemetry.warnings, { depth: 9 });
    expect(log).toContain("check WEATHER_API_KEY");
    expect(log).not.toContain("hunter2");
  });

  test("an address where nobody listens: unavailable, the key not shown", async () => {
    const gone = await startWeather();
    await gone.close();
    const { ask, telemetry } = instance({ url: gone.url });
    expect(await ask("Barcelona")).toBe(UNAVAILABLE);
    const log = inspect(telemetry.warnings, { depth: 9 });
    expect(log).toContain("WeatherAPI.com did not answer");
    expect(log).not.toContain(WEATHER_KEY);
  });

  test.each(['{"location":{},"current":{}}', "[]", "null", '"sunny"', '{"error":{"code":1006}}'])(
    "an answer of another shape, %s: unavailable",
    async (body) => {
      const host = await startHost({
        answer: () => ({ status: 200, headers: { "content-type": "application/json" }, body }),
        fail: ({ status }) => ({ status, body: "" }),
        malformed: { status: 200, body: "" },
      });
      expect(await instance({ url: host.origin }).ask("Barcelona")).toBe(UNAVAILABLE);
      await host.close();
    },
  );

  test("no time left: the model is told, and the provider's health is not doubted", async () => {
    suite.provider.inject({ hang: true });
    for (let time = 0; time < 4; time++) {
      const startedAt = performance.now();
      expect(await instance().ask("Barcelona", null, 150)).toMatch(
        /^Error: (There was not enough time|The tool get_weather took too long)/,
      );
      expect(performance.now() - startedAt).toBeLessThan(4_000);
    }
    suite.provider.reset();
    await expect.poll(() => instance().ask("Barcelona")).toMatch(/^Weather in Barcelona/);
    expect(await keys()).not.toContain("breaker:{weatherapi}:failures");
  });
});
