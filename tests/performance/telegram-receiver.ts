import { fork } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath, pathToFileURL } from "node:url";
import { callFunction, createFunction } from "@parley/local/gateway/function";
import { startGateway } from "@parley/local/gateway/server";
import { startPoller } from "@parley/local/queue/poller";
import { startQueue } from "@parley/local/queue/server";
import { LOCAL_BOT, startBotApi } from "@parley/local/telegram/server";
import { BARE, type Bundle, fileOf } from "./bundle.ts";
import { startEngines } from "./engines.ts";
import type { Load, Sample } from "./load.ts";
import type { Table } from "./report.ts";

const PER_SECOND = 100;
const CHATS = 50;
/** Faster, so that no instance has to start later. */
const WARM_UP_PER_SECOND = 2_000;
/** Both handlers in turns, so that what else the machine does meets both. */
const ROUNDS = 5;
const ROUND_SECONDS = 2;
const MODEL_MS = 45_000;
const BUDGET_MS = 500;

const RECEIVER = "telegram-webhook";
const QUEUE = "updates.fifo";
const SECRET = "the-secret-of-the-bench";
const WORKERS = 4;
const FUNCTIONS = new URL("../../packages/functions/src/", import.meta.url);

/**
 * How long Telegram waits for the receiver, and for a handler that does nothing behind the same gateway, while all
 * workers wait for the model; and what the receiver asks of other services for one update.
 */
export async function measureReceiver(bundles: readonly Bundle[]): Promise<Table[]> {
  const engines = await startEngines({ model: { latencyMs: MODEL_MS } });
  const [queue, botApi, elsewhere] = await Promise.all([
    startQueue({ queues: [{ name: QUEUE, fifo: true, visibilityTimeoutS: 150 }] }),
    startBotApi(),
    startCounter(),
  ]);
  const env = {
    ...engines.env,
    AWS_ENDPOINT_URL_SQS: queue.url,
    TELEGRAM_QUEUE_URL: queue.queueUrl(QUEUE),
    TELEGRAM_BOTS: `${LOCAL_BOT.username}=${LOCAL_BOT.token}`,
    TELEGRAM_WEBHOOK_SECRET: SECRET,
    TELEGRAM_API_ROOT: botApi.url,
    OPENAI_TIMEOUT_MS: String(2 * MODEL_MS),
    POWERTOOLS_TRACE_ENABLED: "false",
  };
  const gateway = await startGateway({
    routes: [BARE, RECEIVER].map((name) => {
      const entry = pathToFileURL(fileOf(bundles, name)).href;
      return { method: "POST", path: `/${name}/{bot}`, name, entry };
    }),
    taskRoot: FUNCTIONS,
    // The receiver's own addresses for what it has no business with; the workers are busy with the real ones.
    env: {
      ...env,
      AWS_ENDPOINT_URL_DYNAMODB: `${elsewhere.url}/store`,
      UPSTASH_REDIS_REST_URL: `${elsewhere.url}/redis`,
      OPENAI_BASE_URL: `${elsewhere.url}/model`,
      TELEGRAM_API_ROOT: `${elsewhere.url}/telegram`,
    },
  });
  const worker = createFunction({
    name: "telegram-worker",
    entry: "telegram/worker.ts",
    taskRoot: FUNCTIONS,
    env,
    timeoutMs: 120_000,
    maxInstances: WORKERS,
  });
  const poller = await startPoller({
    endpoint: queue.url,
    queueUrl: queue.queueUrl(QUEUE),
    queueArn: queue.queueArn(QUEUE),
    invoke: (event) => callFunction(worker, event),
    batchSize: 1,
    maxConcurrency: WORKERS,
    reportBatchItemFailures: true,
    drainMs: 0,
  });
  const client = fork(fileURLToPath(new URL("load.ts", import.meta.url)));
  await once(client, "message");
  const run = async (name: string, perSecond = PER_SECOND) => {
    client.send(loadOf(`${gateway.url}/${name}/${LOCAL_BOT.username}`, perSecond));
    const [samples] = (await once(client, "message")) as [Sample[]];
    const failed = samples.find(({ status }) => status !== 200);
    if (failed) throw new Error(`${name} answered ${failed.status}`);
    return samples.map(({ ms }) => ms);
  };
  const sent = () => queue.requests().byOperation["SendMessage"] ?? 0;
  try {
    for (const name of [BARE, RECEIVER]) await run(name, WARM_UP_PER_SECOND);
    while (engines.model.total() < WORKERS) await sleep(100);
    const [bare, receiver]: [number[], number[]] = [[], []];
    const sentBefore = sent();
    for (let round = 0; round < ROUNDS; round++) {
      bare.push(...(await run(BARE)));
      receiver.push(...(await run(RECEIVER)));
    }
    const queued = (sent() - sentBefore) / receiver.length;
    return [latencies(bare, receiver), requests({ queue: queued, ...elsewhere.perUpdate(receiver.length) })];
  } finally {
    client.kill();
    await Promise.all([poller.close(), worker.close(), gateway.close()]);
    await Promise.all([elsewhere.close(), botApi.close(), queue.close(), engines.close()]);
  }
}

function latencies(bare: readonly number[], receiver: readonly number[]): Table {
  const row = (name: string, share: number) => {
    const [own, other] = [at(receiver, share), at(bare, share)];
    return [name, `${other.toFixed(1)} ms`, `${own.toFixed(1)} ms`, (own / other).toFixed(1)];
  };
  const verdict = at(receiver, 0.99) < BUDGET_MS ? "kept" : "MISSED";
  const seconds = ROUNDS * ROUND_SECONDS;
  return {
    title: `Telegram receiver, ${PER_SECOND} updates a second over ${CHATS} chats for ${seconds} s, while ${WORKERS} workers wait for a model that takes ${MODEL_MS / 1_000} s`,
    rows: [
      ["", "bare handler", "receiver", "ratio to bare"],
      row("p50", 0.5),
      row("p99", 0.99),
      row("slowest", 1),
      ["budget", "", `p99 < ${BUDGET_MS} ms`, verdict],
    ],
  };
}

const requests = (perUpdate: Record<string, number>): Table => ({
  title: "The receiver's requests for one update",
  rows: [Object.keys(perUpdate), Object.values(perUpdate).map((count) => count.toFixed(2))],
});

/** The value that this share of the samples is below. */
function at(samples: readonly number[], share: number): number {
  const sorted = samples.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

let lastUpdateId = 0;

function loadOf(url: string, perSecond: number): Load {
  const headers = { "content-type": "application/json", "x-telegram-bot-api-secret-token": SECRET };
  const requests = Array.from({ length: PER_SECOND * ROUND_SECONDS }, (_, nth) => {
    const id = 1_000 + (nth % CHATS);
    const message = {
      message_id: nth,
      date: Math.floor(Date.now() / 1_000),
      from: { id, is_bot: false, first_name: "Ada", language_code: "en" },
      chat: { id, type: "private", first_name: "Ada" },
      text: "What's the weather in Barcelona?",
    };
    return { url, headers, body: JSON.stringify({ update_id: ++lastUpdateId, message }) };
  });
  return { perSecond, requests };
}

/** Stands for services that nobody should ask, each under a path of its own, and counts who does. */
async function startCounter() {
  const counts = { redis: 0, store: 0, telegram: 0, model: 0 };
  const server = createServer((request, response) => {
    const [, service = ""] = request.url?.split("/") ?? [];
    if (Object.hasOwn(counts, service)) counts[service as keyof typeof counts] += 1;
    response.writeHead(500).end();
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    perUpdate: (updates: number) =>
      Object.fromEntries(Object.entries(counts).map(([service, count]) => [service, count / updates])),
    async close() {
      server.close();
      server.closeAllConnections();
      await once(server, "close");
    },
  };
}
