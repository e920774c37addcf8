/** What the gateway's side tells an instance at its start (worker data). */
export type InstanceData = {
  /** file: URL of the module that exports `handler`. */
  module: string;
  functionName: string;
  memoryMb: number;
  functionArn: string;
  logGroup: string;
  logStream: string;
};

export type Invocation = {
  /** The event as JSON, as Lambda's runtime receives it. */
  event: string;
  awsRequestId: string;
  /** Epoch milliseconds at which the instance is killed. */
  deadline: number;
  traceId: string;
};

/** Lambda's shape of an error that a function threw. */
export type FunctionError = { errorType: string; errorMessage: string; trace: string[] };

/** What an instance tells the gateway's side. */
export type Report =
  | { type: "ready" }
  | { type: "init_error"; error: FunctionError }
  | { type: "result"; payload: string }
  | { type: "error"; error: FunctionError };

/** How one invocation ended. After `error` the instance lives on, after `crash` and `timeout` it is gone. */
export type Outcome =
  | { kind: "result"; payload: string }
  | { kind: "error"; error: FunctionError }
  | { kind: "crash"; message: string }
  | { kind: "timeout" };
