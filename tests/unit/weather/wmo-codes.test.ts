import { wordsOf } from "@parley/core/weather/wmo-codes";
import { expect, test } from "vitest";
import { fc } from "../../support/property.ts";

/** As https://open-meteo.com/en/docs has them, in its own grouping. */
const DOCUMENTED: readonly (readonly [codes: readonly number[], word: RegExp])[] = [
  [[0], /^Clear sky$/],
  [[1, 2, 3], /^(Mainly clear|Partly cloudy|Overcast)$/],
  [[45, 48], /fog/i],
  [[51, 53, 55], /^(Light|Moderate|Dense) drizzle$/],
  [[56, 57], /^(Light|Dense) freezing drizzle$/],
  [[61, 63, 65], /^(Slight|Moderate|Heavy) rain$/],
  [[66, 67], /^(Light|Heavy) freezing rain$/],
  [[71, 73, 75], /^(Slight|Moderate|Heavy) snow fall$/],
  [[77], /^Snow grains$/],
  [[80, 81, 82], /^(Slight|Moderate|Violent) rain showers$/],
  [[85, 86], /^(Slight|Heavy) snow showers$/],
  [[95, 96, 99], /^Thunderstorm/],
];
const known = DOCUMENTED.flatMap(([codes]) => codes);

test.each(DOCUMENTED)("%j is worded", (codes, word) => {
  const words = codes.map(wordsOf);
  for (const each of words) expect(each).toMatch(word);
  expect(new Set(words).size).toBe(codes.length);
});

test("a code that is not documented stays a number", async () => {
  await fc.assert(
    fc.property(fc.integer({ min: -1, max: 1_000 }), (code) => {
      expect(wordsOf(code) === `WMO weather code ${code}`).toBe(!known.includes(code));
    }),
  );
});
