import { costOf, priceOf } from "@parley/core/budget/prices";
import { describe, expect, test } from "vitest";
import { fc } from "../../support/property.ts";

describe("a price", () => {
  test("is the list's, a dated name's too", () => {
    expect(priceOf("gpt-5.4-mini")).toEqual({ input: 0.75, cached: 0.075, output: 4.5 });
    expect(priceOf("gpt-5.4-mini-2026-03-17")).toEqual(priceOf("gpt-5.4-mini"));
    expect(priceOf("llama3")).toBeUndefined();
  });

  test("is the setting's when it is given", () => {
    expect(priceOf("llama3", "0, 0, 0.1")).toEqual({ input: 0, cached: 0, output: 0.1 });
  });

  test.each(["1", "1,2", "1,2,3,4", "1,,3", "a,b,c", "1,2,-3", "1,2,Infinity"])(
    "%s is refused",
    (setting) => {
      expect(() => priceOf("gpt-5.4", setting)).toThrow(`MODEL_PRICE is "${setting}"`);
    },
  );
});

describe("what a call costs, in billionths of a dollar,", () => {
  test("counts cached tokens at their own price, and no part twice", () => {
    const price = { input: 0.75, cached: 0.075, output: 4.5 };
    expect(costOf({ input: 1_000_000, cached: 0, output: 0 }, price)).toBe(750_000_000);
    expect(costOf({ input: 1_000_000, cached: 1_000_000, output: 1_000_000 }, price)).toBe(4_575_000_000);
  });

  test("is a whole number, never below the true cost, and not a billionth above it", async () => {
    const usage = fc
      .record({
        input: fc.nat({ max: 1e6 }),
        output: fc.nat({ max: 1e5 }),
        part: fc.double({ min: 0, max: 1, noNaN: true }),
      })
      .map(({ input, output, part }) => ({ input, output, cached: Math.floor(input * part) }));
    // Thousandths of a cent for a million tokens, so that the true cost is exact.
    const cents = fc.nat({ max: 100_000 }).map((n) => n / 1_000);
    const price = fc.record({ input: cents, cached: cents, output: cents });
    await fc.assert(
      fc.property(usage, price, (used, per) => {
        const exact =
          BigInt(used.input - used.cached) * BigInt(Math.round(per.input * 1_000)) +
          BigInt(used.cached) * BigInt(Math.round(per.cached * 1_000)) +
          BigInt(used.output) * BigInt(Math.round(per.output * 1_000));
        const cost = costOf(used, per);
        expect(Number.isSafeInteger(cost)).toBe(true);
        expect(BigInt(cost) - exact).toBeGreaterThanOrEqual(0n);
        expect(BigInt(cost) - exact).toBeLessThanOrEqual(1n);
      }),
    );
  });
});
