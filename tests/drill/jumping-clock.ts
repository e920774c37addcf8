/** Replaces this process's wall clock by one that jumps; timers and `performance` know nothing of it, as in a machine. */
export function createJumpingClock(): { aheadMs: number } {
  const jump = { aheadMs: 0 };
  const True = Date;
  globalThis.Date = class extends True {
    constructor(...given: [] | [number | string | Date]) {
      super(...((given.length === 0 ? [True.now() + jump.aheadMs] : given) as [number]));
    }
    static override now = () => True.now() + jump.aheadMs;
  } as DateConstructor;
  return jump;
}
