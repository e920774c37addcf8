import { createInterface } from "node:readline";
import { Worker } from "node:worker_threads";
import type { InstanceData, Invocation, Outcome, Report } from "./protocol.ts";

export type InstanceOptions = {
  data: InstanceData;
  env: Record<string, string>;
  /** Limit of the cold start, and of each invocation, in milliseconds. */
  timeoutMs: number;
  onOutput: (stream: "stdout" | "stderr", line: string) => void;
};

export type Instance = {
  /** Milliseconds from creation until the handler's module was loaded; rejects when it could not be. */
  ready: Promise<number>;
  /** Resolves when the thread is gone, whatever ended it. */
  exited: Promise<void>;
  /** One at a time. Never rejects. */
  invoke(invocation: Omit<Invocation, "deadline">): Promise<Outcome>;
  /** Ends the thread, in whatever it does; an invocation under way ends as a crash with `cause` for its message. */
  close(cause?: string): Promise<void>;
};

/**
 * One function instance in a thread of its own: own `process.env`, own modules, a memory limit. An uncaught exception,
 * `process.exit` or running out of memory ends this thread and nothing else.
 */
export function startInstance({ data, env, timeoutMs, onOutput }: InstanceOptions): Instance {
  const startedAt = performance.now();
  const worker = new Worker(new URL("./runtime.ts", import.meta.url), {
    name: data.functionName,
    workerData: data,
    env,
    // The parent's own flags (a test runner's, a debugger's) are not the function's.
    execArgv: [],
    stdout: true,
    stderr: true,
    resourceLimits: { maxOldGenerationSizeMb: data.memoryMb },
  });
  const ready = Promise.withResolvers<number>();
  const exited = Promise.withResolvers<void>();
  let current: ((outcome: Outcome) => void) | undefined;
  let causeOfDeath: string | undefined;

  // A caller that only waits for `exited` must not turn a failed start into an unhandled rejection.
  ready.promise.catch(() => {});
  createInterface({ input: worker.stdout }).on("line", (line) => onOutput("stdout", line));
  createInterface({ input: worker.stderr }).on("line", (line) => onOutput("stderr", line));

  function settle(outcome: Outcome): void {
    current?.(outcome);
    current = undefined;
  }

  function kill(cause: string): void {
    causeOfDeath ??= cause;
    void worker.terminate();
  }

  const startTimer = setTimeout(() => kill(`did not start within ${timeoutMs} ms`), timeoutMs);

  worker.on("message", (message: Report) => {
    if (message.type === "ready") {
      clearTimeout(startTimer);
      ready.resolve(performance.now() - startedAt);
    } else if (message.type === "init_error") {
      kill(message.error.trace.join("\n") || message.error.errorMessage);
    } else if (message.type === "result") {
      settle({ kind: "result", payload: message.payload });
    } else {
      settle({ kind: "error", error: message.error });
    }
  });
  worker.on("error", (error: unknown) => {
    causeOfDeath ??= error instanceof Error ? (error.stack ?? error.message) : String(error);
  });
  worker.on("exit", (code) => {
    clearTimeout(startTimer);
    const message = causeOfDeath ?? `the function's process exited with code ${code}`;
    ready.reject(new Error(message));
    settle({ kind: "crash", message });
    exited.resolve();
  });

  async function invoke(invocation: Omit<Invocation, "deadline">): Promise<Outcome> {
    const outcome = Promise.withResolvers<Outcome>();
    current = outcome.resolve;
    const timer = setTimeout(() => {
      settle({ kind: "timeout" });
      kill(`timed out after ${timeoutMs} ms`);
    }, timeoutMs);
    worker.postMessage({ ...invocation, deadline: Date.now() + timeoutMs } satisfies Invocation);
    try {
      return await outcome.promise;
    } finally {
      clearTimeout(timer);
    }
  }

  return {
    ready: ready.promise,
    exited: exited.promise,
    invoke,
    async close(cause = "closed") {
      kill(cause);
      await exited.promise;
    },
  };
}
