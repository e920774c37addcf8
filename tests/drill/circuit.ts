/** The settings of the weather's circuits in the drill: short, so that it is fast. */
export const COOLDOWN_S = 1;
export const MAX_FAILURES = 3;
