/**
 * How the functions' code is bundled: SST's `nodejs`, for a deployment, and what the tests and the bench build from, so
 * that neither can drift. Nothing of SST is imported here.
 */
export const nodejs = {
  format: "esm" as const,
  minify: true,
  // What is imported dynamically is a file of its own, read when it is first used.
  splitting: true,
  /** Relative to sst.config.ts. */
  plugins: "infra/bundle-plugins.mjs",
  esbuild: {
    target: "es2024",
    mainFields: ["module", "main"],
    // SST's default keeps names that nothing reads: errors say theirs themselves.
    keepNames: false,
    // `false` one level up would ship them.
    sourcemap: false,
  },
};
