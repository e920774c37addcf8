import { constants } from "node:os";

/** What asked this process to end. SIGPIPE: nobody reads its output any more. */
export type StopSignal = "SIGINT" | "SIGTERM" | "SIGHUP" | "SIGPIPE";

const CLOSING_MS = 3_000;

/** The shell's exit code for a process that a signal ended. */
export function exitCodeOf(signal: StopSignal): number {
  return 128 + constants.signals[signal];
}

/**
 * Runs `work` with an AbortSignal whose reason is the StopSignal that came. Work is to settle soon after; when it does
 * not within 3 s, or a second signal comes, the process ends anyway.
 */
export async function runUntilStopped(work: (stopped: AbortSignal) => Promise<number>): Promise<number> {
  const controller = new AbortController();
  const stop = (signal: StopSignal) => {
    if (controller.signal.aborted && signal !== "SIGPIPE") process.exit(exitCodeOf(signal));
    controller.abort(signal);
    setTimeout(() => process.exit(exitCodeOf(signal)), CLOSING_MS).unref();
  };
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, stop);
  for (const stream of [process.stdout, process.stderr]) stream.on("error", () => stop("SIGPIPE"));
  try {
    return await work(controller.signal);
  } catch (error) {
    if (controller.signal.aborted) return exitCodeOf(controller.signal.reason as StopSignal);
    throw error;
  }
}
