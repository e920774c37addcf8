import { defineConfig } from "vitest/config";

// One seed for every property of a run; `FC_SEED=n npm test` repeats it.
process.env["FC_SEED"] ??= String(Date.now() % 2 ** 31);
process.stdout.write(`property seed: FC_SEED=${process.env["FC_SEED"]}\n`);

export default defineConfig({
  test: {
    include: ["tests/**/*.test.ts"],
    exclude: ["tests/infra/**", "tests/performance/**"],
    testTimeout: 30_000,
    hookTimeout: 30_000,
    // Much of a test is waiting for sockets.
    maxWorkers: 2,
  },
});
