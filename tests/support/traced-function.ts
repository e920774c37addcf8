import { randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { routes } from "@parley/functions/api/routes";
import { parseEmf } from "@parley/local/cloudwatch/emf";
import { createFunction } from "@parley/local/gateway/function";
import { newTraceId, toEvent } from "@parley/local/gateway/http-event";
import { matchRoute } from "@parley/local/gateway/route-table";
import { TASK_ROOT } from "./in-process.ts";
import { type Daemon, type Step, startDaemon } from "./x-ray.ts";

/** A function as it lies somewhere: its sources by default, or an unpacked zip with the environment that it is given. */
export type FunctionSource = {
  name: string;
  /** Its handler's module, relative to the task root. */
  entry: string;
  taskRoot?: URL;
  env?: Record<string, string>;
};

export type TracedCall = {
  /** What the handler returned. */
  result: unknown;
  /** The trace below Lambda's own segment. */
  tree: Step[];
  /** What went to the daemon and to standard output. */
  datagrams: string[];
  output: string[];
  traceHeader: string;
};

const TRACE_WAIT_MS = 5_000;
/** Nothing more comes when nothing has come for so long; UDP on loopback is there at once. */
const QUIET_MS = 150;

/**
 * Runs one invocation of a function that is traced, beside a daemon of its own. `engines` is the environment that leads
 * to local ones; it wins over the function's own.
 */
export async function callTraced(
  { name, entry, taskRoot = TASK_ROOT, env = {} }: FunctionSource,
  engines: Record<string, string>,
  event: object,
  { sampled = true }: { sampled?: boolean } = {},
): Promise<TracedCall> {
  const daemon = await startDaemon();
  const output: string[] = [];
  const pool = createFunction({
    name,
    entry,
    taskRoot,
    env: {
      ...env,
      ...engines,
      POWERTOOLS_TRACE_ENABLED: "true",
      AWS_XRAY_DAEMON_ADDRESS: daemon.address,
    },
    log: (entry) => {
      if (entry.type === "output") output.push(entry.line);
      if (entry.type === "failure") output.push(entry.message);
    },
  });
  const segment = randomBytes(8).toString("hex");
  const traceHeader = `${newTraceId(new Date())};Parent=${segment};Sampled=${sampled ? 1 : 0}`;
  try {
    const { outcome } = await pool.invoke(JSON.stringify(event), traceHeader);
    if (outcome.kind !== "result")
      throw new Error(`${name}: ${JSON.stringify(outcome)}\n${output.join("\n")}`);
    const tree = sampled ? await wholeTree(daemon, segment) : await sleep(QUIET_MS, []);
    return { result: JSON.parse(outcome.payload), tree, datagrams: daemon.texts, output, traceHeader };
  } finally {
    await pool.close();
    await daemon.close();
  }
}

/** The handler's own subsegment ends last, but UDP keeps no order. */
async function wholeTree(daemon: Daemon, segment: string): Promise<Step[]> {
  const until = Date.now() + TRACE_WAIT_MS;
  for (let seen = -1; Date.now() < until; ) {
    const tree = daemon.treeBelow(segment);
    if (tree.length > 0 && daemon.texts.length === seen) return tree;
    seen = daemon.texts.length;
    await sleep(QUIET_MS);
  }
  throw new Error(`no trace came within ${TRACE_WAIT_MS} ms`);
}

/** An HTTP request as API Gateway hands it to the function. */
export function httpEvent(method: string, target: string, headers: Record<string, string>, body?: unknown) {
  const match = matchRoute(routes, method, target);
  if (!match) throw new Error(`no route takes ${method} ${target}`);
  const distinct = { host: "api.example", "content-type": "application/json", ...headers };
  return toEvent(
    {
      method,
      url: target,
      httpVersion: "1.1",
      headersDistinct: Object.fromEntries(Object.entries(distinct).map(([name, value]) => [name, [value]])),
      remoteAddress: "192.0.2.1",
      localPort: 443,
      body: Buffer.from(body === undefined ? "" : JSON.stringify(body)),
    },
    match,
    { accountId: "000000000000", apiId: "local", requestId: "JKJaXmPLvHcESHA=", now: new Date() },
  );
}

export const emfLines = (output: readonly string[]) => output.filter((line) => parseEmf(line) !== undefined);
