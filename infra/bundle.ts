/**
 * How the functions' code is bundled: SST's `nodejs`, for a deployment, and what the tests and the bench build from, so
 * that neither can drift. Nothing of SST is imported here.
 */
export const nodejs = {
  format: "esm" as const,
  minify: true,
  // What is imported dynamically becomes a file of its own, read when it is first used.
  splitting: true,
  /** Relative to sst.config.ts. */
  plugins: "infra/bundle-plugins.mjs",
  esbuild: {
    target: "es2024",
    mainFields: ["module", "main"],
    // On by default, for names that nothing reads: errors say theirs themselves.
    keepNames: false,
    // `nodejs.sourcemap: false` would ship them.
    sourcemap: false,
  },
};

/** Folder of Swagger UI's files beside the code of the function that serves them; that function's SWAGGER_UI_DIR. */
export const SWAGGER_UI_DIR = "swagger-ui";

/** See infra/bundle-plugins.mjs. */
const holidays = [{ from: "node_modules/date-holidays/dist/index.min.js", to: "date-holidays.cjs" }];

/** Files that go along with a function's code, by its name in routes.ts. SST's own `copyFiles` archives a file twice. */
export const extraFiles: Readonly<Record<string, { from: string; to: string }[]>> = {
  "start-conversation": holidays,
  "continue-conversation": holidays,
  "telegram-worker": holidays,
  docs: ["swagger-ui.css", "swagger-ui-bundle.js"].map((file) => ({
    from: `node_modules/swagger-ui-dist/${file}`,
    to: `${SWAGGER_UI_DIR}/${file}`,
  })),
};
