import { createRequire, syncBuiltinESMExports } from "node:module";

/** A time that was the real one at `origin` (milliseconds of Unix time), runs `scale` times as fast and is `aheadMs` ahead. */
export type FastTime = { scale: number; origin: number; aheadMs: number };

/** Milliseconds of Unix time by it. */
export const fastNow = ({ scale, origin, aheadMs }: FastTime, realNow = Date.now()) =>
  origin + (realNow - origin) * scale + aheadMs;

/**
 * From now on this thread lives in fast time: `Date.now`, `AbortSignal.timeout` and `node:timers/promises`, which is
 * what the product tells the time and waits by. The global timers stay real: clients of sockets have their limits by
 * them, and sockets are not faster. Whoever changes `time` moves the thread in it.
 */
export function enterFastTime(time: FastTime): void {
  const [realNow, realTimeout] = [Date.now, AbortSignal.timeout];
  Date.now = () => fastNow(time, realNow());
  AbortSignal.timeout = (ms) => realTimeout.call(AbortSignal, Math.ceil(ms / time.scale));
  const timers = createRequire(import.meta.url)("node:timers/promises") as Record<string, Wait>;
  for (const name of ["setTimeout", "setInterval"]) {
    const real = timers[name] as Wait;
    timers[name] = (ms = 0, ...rest) => real(ms / time.scale, ...rest);
  }
  syncBuiltinESMExports();
}

type Wait = (ms?: number, ...rest: unknown[]) => unknown;
