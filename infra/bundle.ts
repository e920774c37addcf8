/** How the functions' code is bundled. */
export const nodejs = {
  format: "esm" as const,
  minify: true,
  splitting: true,
  esbuild: { target: "es2024", mainFields: ["module", "main"], sourcemap: false },
};
