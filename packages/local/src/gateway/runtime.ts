/**
 * The inside of one function instance: a worker thread that imports a handler's module once (the cold start) and
 * then runs one invocation at a time, as Lambda's Node runtime does.
 */
import { parentPort, workerData } from "node:worker_threads";
import type { FunctionError, InstanceData, Invocation, Report } from "./protocol.ts";

/** Lambda's limit on a synchronous response, in bytes. */
const MAX_RESPONSE_BYTES = 6_291_556;

type Handler = (event: unknown, context: unknown) => unknown;

const data = workerData as InstanceData;

function report(message: Report): void {
  parentPort?.postMessage(message);
}

function toFunctionError(error: unknown): FunctionError {
  if (!(error instanceof Error)) {
    return { errorType: typeof error, errorMessage: String(error), trace: [] };
  }
  return { errorType: error.name, errorMessage: error.message, trace: error.stack?.split("\n") ?? [] };
}

async function loadHandler(): Promise<Handler> {
  const loaded = (await import(data.module)) as { handler?: unknown };
  if (typeof loaded.handler !== "function") {
    throw new Error(`${data.module} does not export a function named "handler"`);
  }
  // The nodejs24.x runtime refuses callback handlers; finding that out only after deployment would be late.
  if (loaded.handler.length > 2) throw new Error(`${data.module}: callback handlers are not supported`);
  return loaded.handler as Handler;
}

function contextOf({ awsRequestId, deadline }: Invocation): object {
  return {
    callbackWaitsForEmptyEventLoop: true,
    functionName: data.functionName,
    functionVersion: "$LATEST",
    invokedFunctionArn: data.functionArn,
    memoryLimitInMB: String(data.memoryMb),
    awsRequestId,
    logGroupName: data.logGroup,
    logStreamName: data.logStream,
    getRemainingTimeInMillis: () => Math.max(0, deadline - Date.now()),
  };
}

async function run(handler: Handler, invocation: Invocation): Promise<Report> {
  process.env["_X_AMZN_TRACE_ID"] = invocation.traceId;
  try {
    const result = await handler(JSON.parse(invocation.event), contextOf(invocation));
    const payload = JSON.stringify(result) ?? "null";
    if (Buffer.byteLength(payload) > MAX_RESPONSE_BYTES) {
      throw new RangeError(`the response is larger than ${MAX_RESPONSE_BYTES} bytes`);
    }
    return { type: "result", payload };
  } catch (error) {
    return { type: "error", error: toFunctionError(error) };
  }
}

try {
  const handler = await loadHandler();
  parentPort?.on("message", (invocation: Invocation) => {
    void run(handler, invocation).then(report);
  });
  report({ type: "ready" });
} catch (error) {
  report({ type: "init_error", error: toFunctionError(error) });
}
