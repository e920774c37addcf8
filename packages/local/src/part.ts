/** One row of the banner: `real` is what the settings name, `local` what was started here in its place. */
export type PartSummary = { part: string; kind: "real" | "local"; what: string };

/** A part that runs: what the functions have to be told of it (undefined unsets), and how to end it. */
export type Part = {
  summary: PartSummary;
  env?: Record<string, string | undefined>;
  close?: () => Promise<void>;
};
