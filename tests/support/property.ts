import * as fc from "fast-check";

/** One seed for every property of a run; `FC_SEED=n npm test` repeats it. */
export const seed = Number(process.env["FC_SEED"] ?? Date.now() % 2 ** 31);
process.stdout.write(`property seed: FC_SEED=${seed}\n`);
fc.configureGlobal({ seed });

export { fc };
