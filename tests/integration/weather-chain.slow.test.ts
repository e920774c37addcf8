import { inspect } from "node:util";
import { sha256 } from "@parley/core/redis/keys";
import { type ProviderName, providerTitles } from "@parley/core/weather/providers";
import type { Fault } from "@parley/local/simulators/faults";
import { describe, expect, test } from "vitest";
import { HOUR_MS } from "../support/clock.ts";
import { fc } from "../support/property.ts";
import { UNAVAILABLE, type WeatherSetup, weatherSuite } from "../support/weather.ts";

const suite = weatherSuite();
const { clock, keys } = suite;

const BOTH = ["weatherapi", "open-meteo"] as const;
const instance = (setup: WeatherSetup = {}) => suite.instance({ providers: BOTH, ...setup });
const simulatorOf = (name: ProviderName) => (name === "weatherapi" ? suite.provider : suite.openMeteo);
const sourceOf = (text: string) => /^Source: (.+)$/m.exec(text)?.[1];
const NOT_FOUND = 'Error: No place called "Barcelona" was found.';
const DOUBTFUL = `${NOT_FOUND} Not every weather service could be asked.`;
const STALE = "Note: this data is 2 h old; the weather provider could not be asked for newer. Say so.";

/** How a provider may be, and the fault that makes it so. */
const STATES = {
  answers: undefined,
  fails: () => ({ status: 500 }),
  refuses: () => ({ status: 403 }),
  hangs: () => ({ hang: true }),
  "does not know": (name: ProviderName) =>
    name === "weatherapi" ? { status: 400, code: 1006 } : { status: 500, code: "no_place" },
  "is left alone": () => ({ status: 500 }),
} satisfies Record<string, undefined | ((name: ProviderName) => Fault)>;
type State = keyof typeof STATES;
const states = Object.keys(STATES) as State[];

async function put(name: ProviderName, state: State): Promise<void> {
  const fault = STATES[state]?.(name);
  if (fault) simulatorOf(name).inject(fault);
  // Three failures open its circuit.
  if (state === "is left alone") await instance({ providers: [name] }).ask("Quito");
}

/** What is to be said: a provider's answer, what is kept, that the place is unknown, or that nobody could tell. */
function expected(order: readonly ProviderName[], states: readonly State[], kept: boolean): string {
  const answering = order[states.indexOf("answers")];
  if (answering) return providerTitles[answering];
  const unknown = states.filter((state) => state === "does not know").length;
  if (unknown === states.length) return NOT_FOUND;
  if (kept) return STALE;
  return unknown > 0 ? DOUBTFUL : UNAVAILABLE;
}

const pairs = states.flatMap((first) => states.map((second) => ({ first, second })));
const combinations = [
  ...pairs.flatMap((pair) => [false, true].map((kept) => ({ order: BOTH, ...pair, kept }))),
  ...pairs.map((pair) => ({ order: BOTH.toReversed(), ...pair, kept: false })),
];

describe("of two providers", () => {
  test.each(combinations)(
    "$order: the first $first, the second $second, kept: $kept",
    async ({ order, first, second, kept }) => {
      const before = kept ? await instance().ask("Barcelona") : "";
      clock.advance(2 * HOUR_MS);
      await put(order[0] as ProviderName, first);
      await put(order[1] as ProviderName, second);
      const { ask, telemetry } = instance({ providers: order, callTimeoutMs: 250 });
      const text = await ask("Barcelona");
      const outcome = expected(order, [first, second], kept);
      if (outcome === STALE) expect(text).toBe(`${before}\n${STALE}`);
      else if (outcome.startsWith("Error:")) expect(text).toBe(outcome);
      else expect([sourceOf(text), text.includes("Note:")]).toEqual([outcome, false]);
      // The first that is asked, and the second only when the first had nothing.
      const asked = first === "answers" ? order.slice(0, 1) : order;
      expect(telemetry.steps.filter((step) => step.startsWith("weather "))).toEqual(
        asked.map((name) => `weather ${name}`),
      );
    },
  );
});

describe("the first is down", () => {
  test("the second answers, and trace, metrics and log show what happened", async () => {
    suite.provider.inject({ status: 503 });
    const { ask, telemetry } = instance();
    const text = await ask("Barcelona", 3);
    expect(text).toMatch(/^Forecast for Barcelona, Catalonia, Spain:\n2026-11-22: /);
    expect(sourceOf(text)).toBe("Open-Meteo.com");
    expect(telemetry.steps).toEqual(["tool get_weather", "weather weatherapi", "weather open-meteo"]);
    expect(telemetry.annotations).toEqual([
      { cache: "miss" },
      { provider: "weatherapi" },
      { provider: "open-meteo" },
      // Of the tool's own step: who answered.
      { provider: "open-meteo" },
    ]);
    const dependencies = telemetry.counts.filter(({ dimensions }) => "dependency" in dimensions);
    expect(new Set(dependencies.map(({ dimensions }) => dimensions["dependency"]))).toEqual(
      new Set(["weatherapi"]),
    );
    expect([telemetry.total("Retries"), telemetry.total("CircuitOpened")]).toEqual([3, 1]);
    expect(telemetry.warnings).toEqual([
      {
        message: "a weather provider failed",
        fields: { provider: "weatherapi", error: expect.objectContaining({ name: "UpstreamError" }) },
      },
    ]);
  });

  test("it is left alone after three failures, for all instances, and the second is not", async () => {
    suite.provider.inject({ status: 503 });
    await instance().ask("Barcelona");
    expect(suite.provider.total()).toBe(3);
    for (const place of ["Paris", "Rome", "Berlin"]) {
      expect(sourceOf(await instance().ask(place))).toBe("Open-Meteo.com");
    }
    expect(suite.provider.total()).toBe(3);
    expect((await keys()).filter((key) => key.startsWith("breaker:"))).toEqual([
      "breaker:{weatherapi}:state",
    ]);
  });

  test("both are left alone when both fail", async () => {
    for (const each of [suite.provider, suite.openMeteo]) each.inject({ status: 503 });
    expect(await instance().ask("Barcelona")).toBe(UNAVAILABLE);
    for (const place of ["Paris", "Rome"]) expect(await instance().ask(place)).toBe(UNAVAILABLE);
    expect([suite.provider.total(), suite.openMeteo.total()]).toEqual([3, 3]);
    expect((await keys()).filter((key) => key.startsWith("breaker:"))).toEqual([
      "breaker:{open-meteo}:state",
      "breaker:{weatherapi}:state",
    ]);
  });

  test("thirty instances that miss at once make one round of requests", async () => {
    suite.provider.inject({ status: 403 });
    suite.openMeteo.inject({ delayMs: 200, times: 1 });
    const answers = await Promise.all(Array.from({ length: 30 }, () => instance().ask("Barcelona")));
    expect(new Set(answers).size).toBe(1);
    expect(sourceOf(answers[0] ?? "")).toBe("Open-Meteo.com");
    // The second searches for the place first.
    expect([suite.provider.total(), suite.openMeteo.total()]).toEqual([1, 2]);
  });
});

describe("a slow first", () => {
  test("leaves the second time to answer, and its health is not doubted for a call that was cut short", async () => {
    suite.provider.inject({ hang: true });
    const { ask } = instance({ callTimeoutMs: 10_000 });
    const startedAt = performance.now();
    expect(sourceOf(await ask("Barcelona", null, 2_000))).toBe("Open-Meteo.com");
    expect(performance.now() - startedAt).toBeLessThan(1_900);
    expect((await keys()).filter((key) => key.startsWith("breaker:"))).toEqual([]);
  });

  test("that is slow for as long as a call may take has failed", async () => {
    suite.provider.inject({ hang: true });
    const { ask, telemetry } = instance({ callTimeoutMs: 100 });
    expect(sourceOf(await ask("Barcelona", null, 4_000))).toBe("Open-Meteo.com");
    expect(telemetry.total("CircuitOpened")).toBe(1);
  });

  test("and a slow second: there was not enough time, and nothing is left running after it", async () => {
    for (const each of [suite.provider, suite.openMeteo]) each.inject({ hang: true });
    const startedAt = performance.now();
    expect(await instance({ callTimeoutMs: 10_000 }).ask("Barcelona", null, 400)).toMatch(
      /^Error: (There was not enough time|The tool get_weather took too long)/,
    );
    expect(performance.now() - startedAt).toBeLessThan(3_000);
    expect([suite.provider.total(), suite.openMeteo.total()]).toEqual([1, 1]);
  });
});

describe("what is kept", () => {
  test("says whose it is, whoever is asked first by now", async () => {
    suite.provider.inject({ status: 403 });
    const first = await instance().ask("Barcelona");
    suite.provider.reset();
    expect(await instance().ask("Barcelona")).toBe(first);
    expect(suite.provider.total()).toBe(0);
    clock.advance(2 * HOUR_MS);
    for (const each of [suite.provider, suite.openMeteo]) each.inject({ status: 503 });
    const { ask, telemetry } = instance();
    expect(await ask("Barcelona")).toBe(`${first}\n${STALE}`);
    expect(telemetry.annotations.at(-1)).toEqual({ provider: "open-meteo" });
  });

  test("by a version that did not write whose it is, is not served", async () => {
    await instance().ask("Barcelona");
    const key = `weather:current:${sha256("barcelona")}`;
    const { at, value } = JSON.parse(String(await suite.redis.rest.result("GET", key)));
    expect(value).toMatchObject({ provider: "weatherapi", weather: { place: { name: "Barcelona" } } });
    await suite.redis.rest.result("SET", key, JSON.stringify({ at, value: value.weather }));
    expect(sourceOf(await instance().ask("Barcelona"))).toBe("WeatherAPI.com");
    expect(suite.provider.total()).toBe(2);
  });

  test("is found however the place is written, under a key that does not show it", async () => {
    const spelling = fc
      .tuple(
        fc.constantFrom("Barcelona", "New York", "Las Palmas", "Sao Paulo"),
        fc.infiniteStream(fc.boolean()),
        fc.constantFrom(" ", "  ", "\t", "\u00a0", "\u3000"),
        fc.constantFrom("", " ", "\n"),
      )
      .map(([place, upper, space, around]) => {
        const cased = [...place].map((letter) =>
          upper.next().value ? letter.toUpperCase() : letter.toLowerCase(),
        );
        return { place, written: `${around}${cased.join("").replaceAll(" ", space)}${around}` };
      });
    const asked = new Set<string>();
    await fc.assert(
      fc.asyncProperty(spelling, async ({ place, written }) => {
        asked.add(place);
        expect(await instance().ask(written)).toContain("Source: WeatherAPI.com");
        expect(suite.provider.total()).toBe(asked.size);
      }),
      { numRuns: 60 },
    );
    expect(await keys()).toEqual(
      [...asked].map((place) => `weather:current:${sha256(place.toLowerCase())}`).toSorted(),
    );
  });
});

test("without any, nothing of a failure is in the answer or of the place in the log", async () => {
  for (const each of [suite.provider, suite.openMeteo]) each.inject({ status: 500, message: "hunter2" });
  const { ask, telemetry } = instance();
  expect(await ask("Barcelona")).toBe(UNAVAILABLE);
  expect(telemetry.warnings.map(({ message }) => message)).toEqual([
    "a weather provider failed",
    "a weather provider failed",
    "weather is unavailable",
  ]);
  const log = inspect(telemetry.warnings, { depth: 9 });
  for (const secret of ["hunter2", "Barcelona", "127.0.0.1"]) expect(log).not.toContain(secret);
});
