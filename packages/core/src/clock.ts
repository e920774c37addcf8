/** Wall time in milliseconds since the epoch; injected so that tests move it instead of sleeping. */
export type Clock = { now(): number };

export const systemClock: Clock = { now: () => Date.now() };
