/**
 * The time of the simulated Telegram, which runs `timeScale` times as fast as real time: a wait of 60 s takes a second
 * at 60. All durations are in simulated seconds.
 */
export type Clock = {
  /** What messages and updates are dated with. */
  now(): Date;
  /** Since the start. */
  elapsed(): number;
  /** How long a wait takes in real milliseconds. */
  realMs(seconds: number): number;
  /** Returns what cancels it. */
  after(seconds: number, action: () => void): () => void;
};

// Longer waits than a timer can hold are never waited for in full anyway.
const MAX_TIMER_MS = 2 ** 31 - 1;

/** @param now dates; by default simulated time that began at the real time */
export function createClock(timeScale = 1, now?: () => Date): Clock {
  if (!(timeScale > 0)) throw new RangeError("timeScale must be above 0");
  const startedAt = performance.now();
  const startedOn = Date.now();
  const elapsed = () => ((performance.now() - startedAt) / 1000) * timeScale;
  const realMs = (seconds: number) => (seconds * 1000) / timeScale;
  return {
    now: now ?? (() => new Date(startedOn + elapsed() * 1000)),
    elapsed,
    realMs,
    after(seconds, action) {
      const timer = setTimeout(action, Math.min(realMs(seconds), MAX_TIMER_MS));
      return () => clearTimeout(timer);
    },
  };
}

export const unixTime = (clock: Clock) => Math.floor(clock.now().getTime() / 1000);
