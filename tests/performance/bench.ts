import { type ChildProcess, fork, spawnSync } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath, pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import { type Bundle, bundleHandlers } from "./bundle.ts";
import { startEngines } from "./engines.ts";
import type { Order, Timing } from "./invoker.ts";
import { measureReceiver } from "./telegram-receiver.ts";

const HELP = `npm run bench [-- --runs N]

Prints, as ratios to a handler that does nothing, measured in the same run:
  cold import of each handler's bundle (median of N fresh processes each, interleaved; default 15)
  a warm turn without the model's own time
  the Telegram receiver under load, and its requests for one update
and for turns 1, 50 and 500 of one conversation the round trips and bytes to Redis and to the store.
`;

const { values } = parseArgs({
  options: { runs: { type: "string", default: "15" }, help: { type: "boolean" } },
});
if (values.help) {
  process.stdout.write(HELP);
} else {
  const bundles = await bundleHandlers(fileURLToPath(new URL("../../.local/bench", import.meta.url)));
  coldImports(bundles, Number(values.runs));
  await turns(bundles);
  for (const { title, rows } of await measureReceiver(bundles)) print(title, rows);
}

function coldImports(bundles: readonly Bundle[], runs: number) {
  const times = new Map<string, number[]>(bundles.map(({ name }) => [name, []]));
  for (let run = 0; run <= runs; run++) {
    for (const { name, file } of bundles) {
      const startedAt = performance.now();
      const { status, stderr } = spawnSync(
        process.execPath,
        [
          "--input-type=module",
          "-e",
          `await import(${JSON.stringify(pathToFileURL(file).href)}); process.exit(0)`,
        ],
        { env: { ...process.env, POWERTOOLS_TRACE_ENABLED: "false" }, encoding: "utf8" },
      );
      if (status !== 0) throw new Error(`${name} does not load: ${stderr}`);
      // The first round warms the disk.
      if (run > 0) times.get(name)?.push(performance.now() - startedAt);
    }
  }
  const bare = median(times.get("bare") ?? []);
  print(`Cold import (fresh process, wall; bare ${bare.toFixed(0)} ms; median of ${runs})`, [
    ["handler", "ratio to bare", "static closure KB", "with lazy parts KB"],
    ...bundles.map(({ name, staticBytes, totalBytes }) => [
      name,
      (median(times.get(name) ?? []) / bare).toFixed(2),
      kilobytes(staticBytes),
      kilobytes(totalBytes),
    ]),
  ]);
}

async function turns(bundles: readonly Bundle[]) {
  const engines = await startEngines();
  const children: ChildProcess[] = [];
  const start = async (name: string) => {
    const file = bundles.find((bundle) => bundle.name === name)?.file ?? "";
    const child = fork(fileURLToPath(new URL("invoker.ts", import.meta.url)), [file], {
      env: { ...process.env, ...engines.env, POWERTOOLS_TRACE_ENABLED: "false" },
      stdio: ["ignore", "ignore", "inherit", "ipc"],
    });
    children.push(child);
    await once(child, "message");
    return child;
  };
  try {
    const bareChild = await start("bare");
    const child = await start("continue-conversation");
    const route = { method: "POST", path: "/v1/messages" };
    const body = {
      message: "Hello there, what can you do for me?",
      session_metadata: { platform: "api", user_id: "bench", chat_id: "bench" },
    };
    const run = (times: number) => order(child, { times, route, body });
    const measured: string[][] = [["turn", "Redis requests", "bytes", "store requests", "bytes in + out"]];
    const measure = async (turn: number) => {
      const before = { redis: engines.upstash.requests(), store: engines.dynamo.requests() };
      await run(1);
      const redis = engines.upstash.requests();
      const store = engines.dynamo.requests();
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
      (await order(bareChild, { times: 2_000, route, body })).slice(500).map(({ totalMs }) => totalMs),
    );
    const own = median(warm.map(({ totalMs, modelMs }) => totalMs - modelMs));
    print("A warm turn by session, without the model's own time (median of 449)", [
      ["bare handler", "turn", "ratio to bare", "model's time, simulated"],
      [
        `${(bare * 1000).toFixed(1)} µs`,
        `${own.toFixed(2)} ms`,
        (own / bare).toFixed(0),
        `${median(warm.map(({ modelMs }) => modelMs)).toFixed(2)} ms`,
      ],
    ]);
    print(`Round trips and bytes of one turn (Redis: ${engines.description})`, measured);
  } finally {
    for (const child of children) child.kill();
    await engines.close();
  }
}

async function order(child: ChildProcess, order: Order): Promise<Timing[]> {
  child.send(order);
  const [timings] = (await Promise.race([
    once(child, "message"),
    once(child, "exit").then(([code]) => Promise.reject(new Error(`the invoker ended with ${code}`))),
  ])) as [Timing[]];
  const failed = timings.find(({ status }) => status >= 300);
  if (failed) throw new Error(`a turn answered ${failed.status}`);
  return timings;
}

function median(numbers: readonly number[]): number {
  const sorted = numbers.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}

function kilobytes(bytes: number): string {
  return (bytes / 1000).toFixed(0);
}

function print(title: string, rows: string[][]) {
  const widths = rows[0]?.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0))) ?? [];
  const lines = rows.map(
    (row) =>
      `  ${row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join("  ")
        .trimEnd()}`,
  );
  process.stdout.write(`${title}\n${lines.join("\n")}\n\n`);
}
