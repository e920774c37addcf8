import { inspect } from "node:util";
import { UpstreamError } from "@parley/core/resilience/upstream-error";
import { providerTitles } from "@parley/core/weather/providers";
import { PlaceNotFoundError, type WeatherProvider } from "@parley/core/weather/types";
import type { Fault } from "@parley/local/simulators/faults";
import { startHost } from "@parley/local/simulators/http";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { fc } from "../support/property.ts";

export const SECRET = "hunter2";
export const NOW = new Date("2026-11-22T14:40:12Z");

type Simulator = {
  url: string;
  inject(fault: Fault): () => void;
  total(): number;
  reset(): void;
  close(): Promise<void>;
};

export type WeatherProviderSetup = {
  start(): Promise<Simulator>;
  /** All of the provider's addresses lead to `url`. */
  connect(url: string, key: string): WeatherProvider;
  /** The setting that a refused key is blamed on. */
  keySetting: string;
  /** An answer that is well formed and something else than weather. */
  otherShape: string;
};

/** What every provider of weather does, against a server that speaks its protocol. */
export function weatherProviderContract(name: string, setup: WeatherProviderSetup): void {
  describe(`${name}, as a weather provider`, () => {
    let simulator: Simulator;
    let provider: WeatherProvider;
    beforeAll(async () => {
      simulator = await setup.start();
      provider = setup.connect(simulator.url, SECRET);
    });
    afterEach(() => simulator.reset());
    afterAll(() => simulator.close());

    const signal = () => AbortSignal.timeout(5_000);
    const current = (location: string) => provider.current(location, signal());
    const forecast = (location: string, days: number) => provider.forecast(location, days, signal());
    const failureOf = async (work: Promise<unknown>) => {
      const error: unknown = await work.then(
        (value) => new Error(`it answered ${inspect(value)}`),
        (reason: unknown) => reason,
      );
      // The URL of a call has the key and the place in it.
      const all = inspect(error, { depth: 9 });
      for (const secret of [SECRET, "Barcelona", "127.0.0.1"]) expect(all).not.toContain(secret);
      return error;
    };

    test("has a name that is listed", () => {
      expect(providerTitles).toHaveProperty(provider.name);
    });

    test("tells the weather now, in the place's own time", async () => {
      expect(await current("Barcelona")).toEqual({
        place: { name: "Barcelona", region: "Catalonia", country: "Spain", timezone: "Europe/Madrid" },
        localTime: expect.stringMatching(/^2026-11-22 15:(?:30|40)$/),
        temperatureC: expect.any(Number),
        feelsLikeC: expect.any(Number),
        condition: expect.stringMatching(/^[A-Z][\w ]+ \(simulated\)$/),
        humidity: expect.any(Number),
        windKph: expect.any(Number),
        windDirection: expect.stringMatching(/^[NESW]{1,3}$/),
      });
    });

    test.each(["Honolulu", "London", "Auckland"])("forecasts ten days of %s's own calendar", async (city) => {
      const { place, days } = await forecast(city, 10);
      const today = new Intl.DateTimeFormat("en-CA", { timeZone: place.timezone }).format(NOW);
      const dates = Array.from({ length: 10 }, (_, day) =>
        new Date(Date.parse(today) + day * 86_400_000).toISOString().slice(0, 10),
      );
      expect(days.map(({ date }) => date)).toEqual(dates);
      for (const { minC, maxC, condition, chanceOfRain } of days) {
        expect(minC).toBeLessThan(maxC);
        expect(condition).toMatch(/ \(simulated\)$/);
        expect(chanceOfRain).toBeGreaterThanOrEqual(0);
        expect(chanceOfRain).toBeLessThanOrEqual(100);
      }
    });

    test.each([
      ["São Paulo", "Sao Paulo", "Brazil"],
      ["Köln", "Cologne", "Germany"],
      ["new  york", "New York", "United States of America"],
      ["Barcelona, Spain", "Barcelona", "Spain"],
      ["Barcelona, Catalonia, Spain", "Barcelona", "Spain"],
    ])("finds %j", async (location, city, country) => {
      expect((await current(location)).place).toMatchObject({ name: city, country });
      expect((await forecast(location, 1)).place).toMatchObject({ name: city, country });
    });

    test.each(["41.38,2.18", " 41.38 , 2.18 ", "-33.87,151.21", "+51.5,-0.12"])(
      "takes the coordinates %j for what they are",
      async (location) => {
        const { place, temperatureC } = await current(location);
        expect(() => new Intl.DateTimeFormat("en", { timeZone: place.timezone })).not.toThrow();
        expect(place.name).not.toBe("");
        expect(temperatureC).toBeTypeOf("number");
      },
    );

    test.each(["Xyzzyville", "Barcelona, Japan", "91,0", "0,181", "Foo&bar=1/../?x#y%20", "日本 💥"])(
      "does not know %j",
      async (location) => {
        expect(await current(location).catch((error) => error)).toBeInstanceOf(PlaceNotFoundError);
        expect(await forecast(location, 3).catch((error) => error)).toBeInstanceOf(PlaceNotFoundError);
      },
    );

    test.each([408, 429, 500, 502, 503, 504])("a status %i may pass", async (status) => {
      simulator.inject({ status });
      for (const ask of [() => current("Barcelona"), () => forecast("Barcelona", 2)]) {
        const error = await failureOf(ask());
        expect(error).toBeInstanceOf(UpstreamError);
        expect(error).toMatchObject({ transient: true, message: expect.stringContaining(String(status)) });
      }
    });

    test.each([400, 404, 422])("a status %i will not pass", async (status) => {
      simulator.inject({ status });
      const error = await failureOf(current("Barcelona"));
      expect(error).toBeInstanceOf(UpstreamError);
      expect(error).toMatchObject({ transient: false });
    });

    test.each<Fault>([{ cut: true }, { malformed: true }])("%j may pass", async (fault) => {
      simulator.inject(fault);
      for (const ask of [() => current("Barcelona"), () => forecast("Barcelona", 2)]) {
        const error = await failureOf(ask());
        expect(error).toBeInstanceOf(UpstreamError);
        expect(error).toMatchObject({ transient: true });
      }
    });

    test("says how long to wait when it is told", async () => {
      simulator.inject({ status: 429, retryAfterSeconds: 7 });
      expect(await failureOf(current("Barcelona"))).toMatchObject({ retryAfterMs: 7_000 });
    });

    test("blames a refused key on its setting", async () => {
      const refused = setup.connect(simulator.url, `bad-${SECRET}`);
      const error = await failureOf(refused.current("Barcelona", signal()));
      expect(error).toMatchObject({ transient: false, message: expect.stringContaining(setup.keySetting) });
    });

    test("gives up when the signal says so", async () => {
      simulator.inject({ hang: true });
      const stop = new AbortController();
      const waiting = failureOf(provider.current("Barcelona", stop.signal));
      await expect.poll(() => simulator.total()).toBe(1);
      stop.abort();
      expect(await waiting).toMatchObject({ transient: true });
    });

    test("where nobody listens: it may pass", async () => {
      const gone = await setup.start();
      await gone.close();
      const error = await failureOf(setup.connect(gone.url, SECRET).current("Barcelona", signal()));
      expect(error).toMatchObject({ transient: true });
    });

    test.each([
      "[]",
      "null",
      '"sunny"',
      "<!doctype html><title>Sign in</title>",
      '{"results":[{}]}',
      setup.otherShape,
    ])("%j is not weather", async (body) => {
      const host = await saying(body);
      const error = await failureOf(setup.connect(host.origin, SECRET).current("1.5,1.5", signal()));
      await host.close();
      expect(error).toBeInstanceOf(UpstreamError);
    });

    test("reads no answer without end", async () => {
      const host = await saying(`{"name":"${"x".repeat(3 * 1024 * 1024)}"}`);
      const error = await failureOf(setup.connect(host.origin, SECRET).forecast("1.5,1.5", 2, signal()));
      await host.close();
      expect(error).toMatchObject({ transient: false, message: expect.stringContaining("bytes") });
    });

    test("any place there is, or none, and nothing else", async () => {
      const location = fc
        .string({ unit: "binary", minLength: 1, maxLength: 60 })
        .filter((s) => s.trim() !== "");
      await fc.assert(
        fc.asyncProperty(location, async (any) => {
          const outcome = await current(any).then(
            ({ condition }) => condition.includes("(simulated)"),
            (error) => error instanceof PlaceNotFoundError,
          );
          expect(outcome).toBe(true);
        }),
        { numRuns: 100 },
      );
    });
  });
}

/** A server that answers everything with `body`. */
function saying(body: string) {
  return startHost({
    answer: () => ({ status: 200, headers: { "content-type": "application/json" }, body }),
    fail: ({ status }) => ({ status, body: "" }),
    malformed: { status: 200, body: "" },
  });
}
