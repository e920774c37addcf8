/** The settings of the weather's circuits in the drill: short, so that it is fast. */
export const COOLDOWN_S = 1;
export const MAX_FAILURES = 3;

/** Of a user and of a key in a day: nobody comes near, unless a fault takes them there. */
export const BUDGET_TOKENS = 1_000_000_000;
