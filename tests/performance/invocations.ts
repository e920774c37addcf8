import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import type { Order } from "./invoker.ts";

/** A process of its own for a bundled handler, as an instance of Lambda's is. What it prints goes nowhere. */
export async function startInvoker(
  file: string,
  options: { env?: Record<string, string>; execArgv?: string[] } = {},
): Promise<ChildProcess> {
  const { env = {}, execArgv = [] } = options;
  const child = fork(fileURLToPath(new URL("invoker.ts", import.meta.url)), [file], {
    env: { ...process.env, POWERTOOLS_TRACE_ENABLED: "false", ...env },
    execArgv,
    stdio: ["ignore", "ignore", "inherit", "ipc"],
  });
  await once(child, "message");
  return child;
}

/** What the invoker answers to an order: its timings, or a summary. */
export async function order<T>(child: ChildProcess, order: Order): Promise<T> {
  const done = new AbortController();
  const { signal } = done;
  child.send(order);
  try {
    const [answer] = await Promise.race([
      once(child, "message", { signal }),
      once(child, "exit", { signal }).then(([code]) =>
        Promise.reject(new Error(`the invoker ended with ${code}`)),
      ),
    ]);
    return answer as T;
  } finally {
    done.abort();
  }
}
