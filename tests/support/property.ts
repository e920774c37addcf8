import * as fc from "fast-check";

// vitest.config.ts chooses and prints the run's seed.
fc.configureGlobal({ seed: Number(process.env["FC_SEED"]) });

export { fc };
