import { defineConfig } from "vitest/config";

// One seed for every property of a run; `FC_SEED=n npm test` repeats it.
process.env["FC_SEED"] ??= String(Date.now() % 2 ** 31);
process.stdout.write(`property seed: FC_SEED=${process.env["FC_SEED"]}\n`);

const SLOW = "tests/**/*.slow.test.ts";

/** What a user of the service meets, whatever keeps the conversations. */
const ON_ANY_STORE = [
  "e2e/{start,dev,twirp-client,log-content.slow,ownership.slow,telegram-chat.slow}",
  "integration/{session,session-moves,idempotency,export.slow,erasure.slow,titles,health,early-timeout.slow}",
  "integration/{summaries.slow,turn-faults.slow,turn-rivals.slow,turn-without-redis.slow}",
  "integration/{telegram-worker,telegram-groups,telegram-without-redis}",
].map((files) => `tests/${files}.test.ts`);

export default defineConfig({
  test: {
    testTimeout: 30_000,
    hookTimeout: 30_000,
    // Much of a test is waiting for sockets.
    maxWorkers: 2,
    projects: [
      // `npm test`: under three minutes on two cores.
      {
        extends: true,
        test: {
          name: "main",
          include: ["tests/**/*.test.ts"],
          exclude: [SLOW, "tests/infra/**", "tests/drill/**"],
        },
      },
      // `npm run test:slow`: 20,000 requests, a browser, seconds by the clock, killed processes, every combination of failures.
      { extends: true, test: { name: "slow", include: [SLOW] } },
      // The same tests with conversations in MongoDB; a part of `npm run test:slow`.
      { extends: true, test: { name: "mongodb", include: ON_ANY_STORE, env: { TEST_STORE: "mongodb" } } },
      // `npm run test:drill`: alone, for each of them is a machine's work.
      { extends: true, test: { name: "drill", include: ["tests/drill/**/*.test.ts"] } },
      // `npm run test:infra`: SST's genuine platform and command, and the archives that it made.
      {
        extends: true,
        test: {
          name: "infra",
          include: ["tests/infra/**/*.test.ts"],
          globalSetup: "tests/support/sst/setup.ts",
          testTimeout: 120_000,
          hookTimeout: 120_000,
        },
      },
    ],
  },
});
