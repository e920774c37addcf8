// A process that invokes one bundled handler as often as its parent says and reports each invocation's milliseconds,
// in all and without the time that the model took; or, of many, the mean alone, and what the heap holds after.
import { setImmediate } from "node:timers/promises";
import { pathToFileURL } from "node:url";

export type Order = {
  times: number;
  route: { method: string; path: string };
  body: unknown;
  /** Answered with one Summary, instead of a Timing for each. */
  summary?: boolean;
};
export type Timing = { totalMs: number; modelMs: number; status: number };
/**
 * Processor time of one invocation, in microseconds: unlike the clock's it does not grow with what else the machine does.
 * `heapBytes` after a collection, where the process was started with --expose-gc.
 */
export type Summary = { meanMicros: number; heapBytes: number };

type Handler = (event: unknown, context: unknown) => Promise<{ statusCode: number }>;

const [file = ""] = process.argv.slice(2);
const modelUrl = process.env["OPENAI_BASE_URL"] ?? "";
const fetchIt = globalThis.fetch;
let modelMs = 0;

// Calls to the model overlap (the title and the first reply): only the time in which at least one is under way counts.
let underWay = 0;
let since = 0;
globalThis.fetch = async (input, init) => {
  const url = input instanceof Request ? input.url : String(input);
  if (!url.startsWith(modelUrl)) return fetchIt(input, init);
  if (underWay++ === 0) since = performance.now();
  try {
    return await fetchIt(input, init);
  } finally {
    if (--underWay === 0) modelMs += performance.now() - since;
  }
};

const { handler } = (await import(pathToFileURL(file).href)) as { handler: Handler };

process.on("message", async ({ times, route, body, summary }: Order) => {
  if (summary) {
    process.send?.(await summarise(times, route, body));
    return;
  }
  const timings: Timing[] = [];
  for (let i = 0; i < times; i++) {
    modelMs = 0;
    const startedAt = performance.now();
    const { statusCode } = await handler(eventOf(route, body), contextOf());
    timings.push({ totalMs: performance.now() - startedAt, modelMs, status: statusCode });
  }
  process.send?.(timings);
});
process.send?.("ready");

async function summarise(times: number, route: Order["route"], body: unknown): Promise<Summary> {
  const before = process.cpuUsage();
  for (let i = 0; i < times; i++) {
    const { statusCode } = await handler(eventOf(route, body), contextOf());
    if (statusCode !== 200) throw new Error(`the handler answered ${statusCode}`);
    // Between two invocations the event loop has its turn: what was sent goes, and what is weakly held is let go.
    await setImmediate();
  }
  const { user, system } = process.cpuUsage(before);
  globalThis.gc?.();
  return { meanMicros: (user + system) / times, heapBytes: process.memoryUsage().heapUsed };
}

function eventOf({ method, path }: Order["route"], body: unknown) {
  return {
    version: "2.0",
    routeKey: `${method} ${path}`,
    rawPath: path,
    rawQueryString: "",
    headers: { "content-type": "application/json" },
    requestContext: { requestId: "bench", http: { method, path, sourceIp: "127.0.0.1" } },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    isBase64Encoded: false,
  };
}

function contextOf() {
  const endsAt = Date.now() + 29_000;
  return {
    awsRequestId: "bench",
    functionName: "bench",
    functionVersion: "$LATEST",
    invokedFunctionArn: "arn:aws:lambda:us-east-1:000000000000:function:bench",
    memoryLimitInMB: "1024",
    getRemainingTimeInMillis: () => endsAt - Date.now(),
  };
}
