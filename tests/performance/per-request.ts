import type { ChildProcess } from "node:child_process";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { timeBudget } from "../infra/budgets.ts";
import { BARE, type Bundle, EDGE, fileOf } from "./bundle.ts";
import { order, startInvoker } from "./invocations.ts";
import type { Summary } from "./invoker.ts";
import { median, type Table, VERDICTS, verdict } from "./report.ts";

const CALLS = 1_000;
/** Until then the heap grows by what is compiled and learnt of the code. */
const WARM_UP_CALLS = 20_000;
/** What the budget of the heap is over; fewer runs have a part of it. */
const HEAP_CALLS = 200_000;
const ORDER = {
  route: { method: "POST", path: "/v1/conversations" },
  body: { message: "What's the weather in Barcelona?" },
  summary: true,
};

const TRACE = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1";

/**
 * What the edge costs a request beyond a handler that does nothing: parsing and checking the body, the chain, metrics and
 * one log line, with tracing off and on. And what the heap keeps of many requests, of fewer where `runs` is below 15.
 */
export async function measureRequests(bundles: readonly Bundle[], runs: number): Promise<Table> {
  const daemon = await startDaemon();
  const children: ChildProcess[] = [];
  const start = async (name: string, env: Record<string, string> = {}) => {
    const child = await startInvoker(fileOf(bundles, name), {
      env: { AUTH_MODE: "none", ...env },
      execArgv: ["--expose-gc"],
    });
    children.push(child);
    await summaryOf(child, WARM_UP_CALLS);
    return child;
  };
  try {
    const bare = await start(BARE);
    const off = await start(EDGE);
    const on = await start(EDGE, {
      POWERTOOLS_TRACE_ENABLED: "true",
      AWS_XRAY_DAEMON_ADDRESS: daemon.address,
      _X_AMZN_TRACE_ID: TRACE,
      LAMBDA_TASK_ROOT: "/var/task",
      AWS_EXECUTION_ENV: "AWS_Lambda_nodejs24.x",
    });
    const over: { off: number[]; on: number[] } = { off: [], on: [] };
    for (let run = 0; run < runs; run++) {
      const base = await summaryOf(bare, CALLS);
      over.off.push((await summaryOf(off, CALLS)).meanMicros - base.meanMicros);
      over.on.push((await summaryOf(on, CALLS)).meanMicros - base.meanMicros);
    }
    if (daemon.received() === 0) throw new Error("nothing was traced");
    const calls = Math.round(HEAP_CALLS * Math.min(1, runs / 15));
    const before = await summaryOf(off, 1);
    const after = await summaryOf(off, calls);
    const grownMB = (after.heapBytes - before.heapBytes) / 1e6;
    return {
      title: `Processor time of a request at the edge, beyond a handler that does nothing (median of ${runs} rounds of ${CALLS})`,
      rows: [
        ["", ...VERDICTS],
        verdict("tracing off", median(over.off), of("offMicros", " µs")),
        verdict("tracing on", median(over.on), of("onMicros", " µs")),
        verdict(`heap over ${calls} requests`, grownMB, { ...of("heapMB", " MB"), digits: 2 }),
      ],
    };
  } finally {
    for (const child of children) child.kill();
    daemon.close();
  }
}

const of = (key: keyof typeof timeBudget.holds, unit: string) => ({
  holds: timeBudget.holds[key],
  excellent: timeBudget.excellent[key],
  unit,
});

const summaryOf = (child: ChildProcess, times: number) => order<Summary>(child, { ...ORDER, times });

/** Takes what X-Ray's daemon would, and counts the datagrams. */
async function startDaemon() {
  let received = 0;
  const socket = createSocket("udp4").on("message", () => {
    received += 1;
  });
  socket.bind(0, "127.0.0.1");
  await once(socket, "listening");
  return {
    address: `127.0.0.1:${socket.address().port}`,
    received: () => received,
    close: () => socket.close(),
  };
}
