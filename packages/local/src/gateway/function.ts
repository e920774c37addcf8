import { fileURLToPath } from "node:url";
import { newTraceId } from "./http-event.ts";
import type { FunctionLog, Pool } from "./pool.ts";
import { createPool, describeFailure } from "./pool.ts";
import type { Outcome } from "./protocol.ts";

export type FunctionOptions = {
  name: string;
  /** The handler's module, relative to the task root. */
  entry: string;
  /** file: URL of that folder, ending in a slash. */
  taskRoot: URL;
  /** The function's whole environment, beside what Lambda itself sets. */
  env: Record<string, string>;
  /** Limit of one invocation, and of its wait for an instance. */
  timeoutMs?: number | undefined;
  maxInstances?: number | undefined;
  memoryMb?: number | undefined;
  log?: ((entry: FunctionLog) => void) | undefined;
};

export const ACCOUNT_ID = "000000000000";
export const DEFAULT_REGION = "us-east-1";

/** The instances of one function, with the environment variables that Lambda sets. What its events are is the caller's. */
export function createFunction(options: FunctionOptions): Pool {
  const { name, entry, env, taskRoot } = options;
  const { timeoutMs = 29_000, maxInstances = 4, memoryMb = 1024, log = () => {} } = options;
  const region = env["AWS_REGION"] ?? DEFAULT_REGION;
  return createPool({
    functionName: name,
    module: new URL(entry, taskRoot).href,
    timeoutMs,
    memoryMb,
    maxInstances,
    region,
    accountId: ACCOUNT_ID,
    log,
    env: {
      ...env,
      AWS_REGION: region,
      AWS_DEFAULT_REGION: region,
      AWS_EXECUTION_ENV: "AWS_Lambda_nodejs24.x",
      AWS_LAMBDA_FUNCTION_NAME: name,
      AWS_LAMBDA_FUNCTION_VERSION: "$LATEST",
      AWS_LAMBDA_FUNCTION_MEMORY_SIZE: String(memoryMb),
      AWS_LAMBDA_INITIALIZATION_TYPE: "on-demand",
      AWS_LAMBDA_LOG_GROUP_NAME: `/aws/lambda/${name}`,
      LAMBDA_TASK_ROOT: fileURLToPath(taskRoot),
      TZ: "UTC",
      _HANDLER: entry.replace(/\.[cm]?[jt]s$/, ".handler"),
    },
  });
}

/** An invocation that gave no result: the function threw, its instance died or was killed, or its time ran out. */
export class InvocationError extends Error {
  readonly kind: Exclude<Outcome["kind"], "result">;

  constructor(outcome: Exclude<Outcome, { kind: "result" }>) {
    super(describeFailure(outcome));
    this.name = "InvocationError";
    this.kind = outcome.kind;
  }
}

/**
 * Runs a function on an event that does not come from HTTP; resolves to what its handler returned, by way of JSON.
 * Aborting `signal` kills the instance in the middle of it. Rejects with an `InvocationError`.
 */
export async function callFunction(pool: Pool, event: object, signal?: AbortSignal): Promise<unknown> {
  const { outcome } = await pool.invoke(JSON.stringify(event), newTraceId(new Date()), signal);
  if (outcome.kind !== "result") throw new InvocationError(outcome);
  return JSON.parse(outcome.payload);
}
