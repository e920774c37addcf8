import type { ChildProcess } from "node:child_process";
import { availableParallelism, loadavg } from "node:os";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { BARE, type Bundle, bundleHandlers, fileOf } from "./bundle.ts";
import { startEngines } from "./engines.ts";
import { order, startInvoker } from "./invocations.ts";
import type { Order, Timing } from "./invoker.ts";
import { measureRequests } from "./per-request.ts";
import { median, print } from "./report.ts";
import { measureStart } from "./start.ts";
import { measureReceiver } from "./telegram-receiver.ts";

const HELP = `npm run bench [-- --runs N]

Prints, from the bundles that are deployed and as ratios to a handler that does nothing, measured in the same run:
  the start of each function (fresh processes in turns, median of N; default 15), and its size
  what the edge costs a request, tracing off and on, and what the heap keeps of 200,000 (fewer below 15 runs)
  a warm turn without the model's own time
  the Telegram receiver under load, and its requests for one update
and for turns 1, 50 and 500 of one conversation the round trips and bytes to Redis and to the store.
Beside what has a budget stands what holds, what would be excellent, and whether it is kept; nothing is asserted.
`;

const { values } = parseArgs({
  options: { runs: { type: "string", default: "15" }, help: { type: "boolean" } },
});
if (values.help) {
  process.stdout.write(HELP);
} else {
  const bundles = await bundleHandlers(fileURLToPath(new URL("../../.local/bench", import.meta.url)));
  const runs = Number(values.runs);
  if (!Number.isInteger(runs) || runs < 1) throw new Error("--runs takes a whole number from 1");
  const [load = 0] = loadavg();
  const cores = availableParallelism();
  const busy = load > cores / 2 ? ": busy with something else, and times will be worse than they are" : "";
  process.stdout.write(`${cores} cores, load ${load.toFixed(1)}${busy}\n\n`);
  measureStart(bundles, runs).forEach(print);
  print(await measureRequests(bundles, runs));
  await turns(bundles);
  (await measureReceiver(bundles)).forEach(print);
}

async function turns(bundles: readonly Bundle[]) {
  const engines = await startEngines();
  const children: ChildProcess[] = [];
  const start = async (name: string) => {
    const child = await startInvoker(fileOf(bundles, name), { env: engines.env });
    children.push(child);
    return child;
  };
  try {
    const bareChild = await start(BARE);
    const child = await start("continue-conversation");
    const route = { method: "POST", path: "/v1/messages" };
    const body = {
      message: "Hello there, what can you do for me?",
      session_metadata: { platform: "api", user_id: "bench", chat_id: "bench" },
    };
    const run = (times: number) => timingsOf(child, { times, route, body });
    const measured: string[][] = [["turn", "Redis requests", "bytes", "store requests", "bytes in + out"]];
    const measure = async (turn: number) => {
      const before = { redis: engines.upstash.requests(), store: engines.storeEngine.requests() };
      await run(1);
      const redis = engines.upstash.requests();
      const store = engines.storeEngine.requests();
      measured.push([
        String(turn),
        String(redis.count - before.redis.count),
        String(redis.bytesIn + redis.bytesOut - before.redis.bytesIn - before.redis.bytesOut),
        String(store.count - before.store.count),
        `${store.bytesIn - before.store.bytesIn} + ${store.bytesOut - before.store.bytesOut}`,
      ]);
    };
    await measure(1);
    await run(48);
    await measure(50);
    const warm = await run(449);
    await measure(500);
    const bare = median(
      (await timingsOf(bareChild, { times: 2_000, route, body })).slice(500).map(({ totalMs }) => totalMs),
    );
    const own = median(warm.map(({ totalMs, modelMs }) => totalMs - modelMs));
    print({
      title: "A warm turn by session, without the model's own time (median of 449)",
      rows: [
        ["bare handler", "turn", "ratio to bare", "model's time, simulated"],
        [
          `${(bare * 1000).toFixed(1)} µs`,
          `${own.toFixed(2)} ms`,
          (own / bare).toFixed(0),
          `${median(warm.map(({ modelMs }) => modelMs)).toFixed(2)} ms`,
        ],
      ],
    });
    print({ title: `Round trips and bytes of one turn (Redis: ${engines.description})`, rows: measured });
  } finally {
    for (const child of children) child.kill();
    await engines.close();
  }
}

async function timingsOf(child: ChildProcess, given: Order): Promise<Timing[]> {
  const timings = await order<Timing[]>(child, given);
  const failed = timings.find(({ status }) => status >= 300);
  if (failed) throw new Error(`a turn answered ${failed.status}`);
  return timings;
}
