import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["tests/**/*.test.ts"],
    exclude: ["tests/infra/**", "tests/performance/**"],
    testTimeout: 30_000,
    hookTimeout: 30_000,
  },
});
