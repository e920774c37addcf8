const TIMEOUT_MS = 2_000;

export type ProbeResult = { ok: boolean; latency_ms: number };

/** Whether a dependency answers in time, and how fast. What it said stays in here: anybody may ask. */
export async function probe(ask: (signal: AbortSignal) => Promise<unknown>): Promise<ProbeResult> {
  const startedAt = performance.now();
  const signal = AbortSignal.timeout(TIMEOUT_MS);
  const over = new Promise<never>((_resolve, reject) => {
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
  });
  const ok = await Promise.race([ask(signal), over]).then(
    () => true,
    () => false,
  );
  return { ok, latency_ms: Math.round(performance.now() - startedAt) };
}
