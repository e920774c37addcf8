import { retryAfterMs } from "@parley/core/resilience/retry-after";
import { expect, test } from "vitest";
import { fc } from "../../support/property.ts";

const NOW = Date.UTC(2026, 10, 22, 14, 40, 12);

test.each([
  ["0", 0],
  ["3", 3_000],
  ["0.5", 500],
  [" 7 ", 7_000],
  ["Sun, 22 Nov 2026 14:40:42 GMT", 30_000],
  ["Sun, 22 Nov 2026 14:00:00 GMT", 0],
])("%j is %i ms", (header, ms) => {
  expect(retryAfterMs(header, NOW)).toBe(ms);
});

test.each([undefined, null, "", "   ", "soon", "-5", "1e9", "0x10", "Infinity", "NaN", "3 seconds"])(
  "%j says nothing",
  (header) => {
    expect(retryAfterMs(header, NOW)).toBeUndefined();
  },
);

test("whatever a server sends, the wait is a finite number of milliseconds or nothing", async () => {
  await fc.assert(
    fc.property(
      fc.oneof(fc.string(), fc.string({ unit: fc.constantFrom(..."0123456789.eE+- ") })),
      (header) => {
        const ms = retryAfterMs(header, NOW);
        if (ms !== undefined) expect(ms).toSatisfy((wait: number) => Number.isFinite(wait) && wait >= 0);
      },
    ),
    { numRuns: 1_000, examples: [["9".repeat(400)], ["1e307"]] },
  );
});
