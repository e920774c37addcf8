import { DynamoDBClient } from "@aws-sdk/client-dynamodb";
import { DynamoDBDocumentClient, paginateScan } from "@aws-sdk/lib-dynamodb";
import { tableDefinition } from "@parley/core/conversation/dynamo-table";
import type { OutboxEntry } from "@parley/core/telegram/outbox";
import { renderMarkdown } from "@parley/core/telegram/render/index";
import { texts } from "@parley/core/telegram/texts";
import { routes } from "@parley/functions/api/routes";
import { ensureTable } from "@parley/local/dynamodb/ensure-table";
import { startDynamo } from "@parley/local/dynamodb/server";
import { callFunction, createFunction } from "@parley/local/gateway/function";
import { startGateway } from "@parley/local/gateway/server";
import type { SqsEvent } from "@parley/local/queue/event";
import { startPoller } from "@parley/local/queue/poller";
import { startQueue } from "@parley/local/queue/server";
import { startModel } from "@parley/local/simulators/model";
import type { ChatRequest } from "@parley/local/simulators/model/types";
import { createChance } from "@parley/local/telegram/chance";
import { LOCAL_BOT, startBotApi } from "@parley/local/telegram/server";
import { startRedisBackend } from "@parley/local/upstash/backend";
import { startUpstash } from "@parley/local/upstash/server";

export type DrillOptions = {
  seed: number;
  chats: number;
  messagesPerChat: number;
};

export type DrillReport = {
  messages: number;
  /** Workers that were killed while they worked. */
  kills: number;
  /** Deliveries by Telegram beyond the first of an update. */
  duplicates: number;
  /** Calls of the Bot API whose answer was lost. */
  lostAnswers: number;
  /** Parts of answers of which nobody can say whether they arrived, and how many of them did. */
  uncertain: { parts: number; shown: number };
  /** Parts of answers that are neither in the chat nor uncertain. */
  lost: string[];
  /** Parts of answers that are in a chat more than once. */
  doubled: string[];
  /** Chats in which an answer stands before that of an earlier message. */
  disordered: string[];
  /** Messages that are not exactly one turn, or whose turn has no reply; the poisoned one is to be the only one. */
  unanswered: string[];
  /** Messages in the dead-letter queue. */
  deadLetters: string[];
  /** What the poisoned message's sender reads in its place. */
  toldOfPoison: number;
  seconds: number;
};

/** Seconds of Telegram, of the queue and of the model in a real one. */
const TIME_SCALE = 60;
const MODEL_LATENCY_S = { least: 1, most: 45 };
const KILLED = 0.1;
const DUPLICATED = 0.05;
/** Within the queue's five minutes of deduplication, and past them. */
const REDELIVERED_AFTER_S = [20, 360];
const ANSWER_LOST = 0.02;
const WAVE_PAUSE_MS = 150;
/** Everything after the begin of a turn has to fit in: the model's time, and what is kept back for the sending. */
const WORKER_TIMEOUT_MS = 15_000;
/** Past the lease of a killed worker's turn: 10 s by the clock. */
const VISIBILITY_TIMEOUT_S = 600;
const WORKERS = 16;
const QUEUE = "updates.fifo";
const DEAD_LETTERS = "dead-letters.fifo";
const TABLE = "parley";
/** Killed every time that it is tried. */
export const POISONED = "c7 m3";

const nameOf = (chat: number, message: number) => `c${chat} m${message}`;

/** Every fifth answer is of two parts. */
function replyTo(name: string): string {
  const answer = `The answer to ${name}.`;
  if (Number(/\d+$/.exec(name)?.[0]) % 5 !== 0) return answer;
  const lines = Array.from({ length: 250 }, (_, n) => `${name}, line ${n}`);
  return `${answer}\n\n\`\`\`text\n${lines.join("\n")}\n\`\`\``;
}

const lastMessage = ({ messages }: Pick<ChatRequest, "messages">) =>
  messages.findLast(({ role }) => role === "user")?.text ?? "";

/**
 * Many chats at once through the real webhook, queue, poller and worker, in compressed time, while workers are killed,
 * Telegram delivers twice, the Bot API loses answers and Redis is restarted once. What is drawn, is drawn by the seed
 * and by whom it strikes, never by the order in which things happen.
 */
export async function runDrill({ seed, chats, messagesPerChat }: DrillOptions): Promise<DrillReport> {
  const startedAt = performance.now();
  const latencies = new Map<string, number>();
  const draw = createChance(seed);
  const latencyMs = (name: string) => {
    const { least, most } = MODEL_LATENCY_S;
    const known =
      latencies.get(name) ?? ((least + (most - least) * draw(`latency ${name}`)) * 1_000) / TIME_SCALE;
    latencies.set(name, known);
    return known;
  };
  const [dynamo, backend, model, botApi, queue] = await Promise.all([
    startDynamo(),
    startRedisBackend(),
    startModel({
      latencyMs: ({ body }) => latencyMs(lastText(body)),
    }),
    startBotApi({ timeScale: TIME_SCALE }),
    startQueue({
      timeScale: TIME_SCALE,
      queues: [
        {
          name: QUEUE,
          fifo: true,
          visibilityTimeoutS: VISIBILITY_TIMEOUT_S,
          dlq: { name: DEAD_LETTERS, maxReceiveCount: 4 },
        },
      ],
    }),
  ]);
  model.script([(request) => replyTo(lastMessage(request))], { repeat: true });
  const upstash = await startUpstash({ backend, token: "drill" });
  await ensureTable(dynamo.url, tableDefinition(TABLE));
  const secret = "drill-drill-drill-drill";
  const env = {
    AWS_ACCESS_KEY_ID: "local",
    AWS_SECRET_ACCESS_KEY: "local",
    AWS_REGION: "us-east-1",
    AWS_ENDPOINT_URL_DYNAMODB: dynamo.url,
    AWS_ENDPOINT_URL_SQS: queue.url,
    CONVERSATIONS_TABLE: TABLE,
    UPSTASH_REDIS_REST_URL: upstash.url,
    UPSTASH_REDIS_REST_TOKEN: upstash.token,
    OPENAI_API_KEY: "simulated",
    OPENAI_BASE_URL: model.url,
    TELEGRAM_BOTS: `${LOCAL_BOT.username}=${LOCAL_BOT.token}`,
    TELEGRAM_WEBHOOK_SECRET: secret,
    TELEGRAM_QUEUE_URL: queue.queueUrl(QUEUE),
    TELEGRAM_API_ROOT: botApi.url,
  };
  const taskRoot = new URL("../../packages/functions/src/", import.meta.url);
  const gateway = await startGateway({
    routes: routes.filter(({ name }) => name === "telegram-webhook"),
    taskRoot,
    env,
  });
  const worker = createFunction({
    name: "telegram-worker",
    entry: "telegram/worker.ts",
    taskRoot,
    env,
    timeoutMs: WORKER_TIMEOUT_MS,
    maxInstances: WORKERS,
  });
  let kills = 0;

  /** Undefined: this attempt is left alone. Never the last attempt of all: that is what dead letters are for. */
  function killAfterMs(name: string, attempt: number): number | undefined {
    if (name === POISONED) return attempt <= 3 ? 200 : undefined;
    if (attempt >= 3 || draw(`kill ${name} ${attempt}`) >= KILLED) return undefined;
    return draw(`when ${name} ${attempt}`) * (latencyMs(name) + 100);
  }

  async function invoke(event: SqsEvent): Promise<unknown> {
    const [record] = event.Records;
    const { update } = JSON.parse(record?.body ?? "{}") as { update: { message: { text: string } } };
    const after = killAfterMs(update.message.text, Number(record?.attributes.ApproximateReceiveCount));
    if (after === undefined) return callFunction(worker, event);
    const killing = new AbortController();
    const timer = setTimeout(() => {
      kills += 1;
      killing.abort();
    }, after);
    try {
      return await callFunction(worker, event, killing.signal);
    } finally {
      clearTimeout(timer);
    }
  }

  const poller = await startPoller({
    endpoint: queue.url,
    queueUrl: queue.queueUrl(QUEUE),
    queueArn: queue.queueArn(QUEUE),
    invoke,
    batchSize: 1,
    maxConcurrency: WORKERS,
    reportBatchItemFailures: true,
    drainMs: 0,
  });
  try {
    const { control } = botApi;
    await control.addFault({ kind: "answer_lost", method: "sendMessage", probability: ANSWER_LOST, seed });
    const api = `${botApi.url}/bot${LOCAL_BOT.token}/setWebhook`;
    const url = `${gateway.url}/telegram/${LOCAL_BOT.username}`;
    await fetch(api, { method: "POST", body: new URLSearchParams({ url, secret_token: secret }) });
    const users: number[] = [];
    for (let n = 0; n < chats; n++) {
      const user = await control.createUser({ first_name: `Sender ${n}` });
      await control.createPrivateChat({ user: user.id });
      users.push(user.id);
    }
    for (let wave = 0; wave < messagesPerChat; wave++) {
      const after_seconds = REDELIVERED_AFTER_S[wave % 2] ?? 0;
      await control.duplicate({ probability: DUPLICATED, after_seconds, seed: seed + wave });
      for (const [chat, id] of users.entries()) await control.send({ chat: id, text: nameOf(chat, wave) });
      await new Promise((resolve) => setTimeout(resolve, WAVE_PAUSE_MS));
      if (wave === Math.floor(messagesPerChat / 2)) await backend.restart?.();
    }
    await control.settled({ timeout_ms: 60_000 });
    await poller.idle();
    const counters = await control.counters();
    const transcripts = await Promise.all(users.map((chat) => control.transcript({ chat })));
    const shown = transcripts.map(({ messages }) =>
      messages.filter(({ from }) => from.is_bot).map(({ text = "" }) => text),
    );
    const items = await scan(dynamo.url);
    return {
      messages: chats * messagesPerChat,
      kills,
      duplicates: counters.duplicates,
      lostAnswers: counters.faults["answer_lost"] ?? 0,
      ...(await judge(shown, messagesPerChat, outboxOf(items))),
      unanswered: unansweredOf(items, chats, messagesPerChat),
      deadLetters: queue.peek(DEAD_LETTERS).map(({ body }) => JSON.parse(body).update.message.text as string),
      seconds: (performance.now() - startedAt) / 1_000,
    };
  } finally {
    await poller.close();
    await Promise.all([gateway.close(), worker.close()]);
    await Promise.all([botApi.close(), queue.close(), model.close(), upstash.close(), dynamo.close()]);
    await backend.close();
  }
}

function lastText(body: string): string {
  const { messages = [] } = JSON.parse(body || "{}") as { messages?: { role: string; content: string }[] };
  return messages.findLast(({ role }) => role === "user")?.content ?? "";
}

type Item = Record<string, unknown>;

async function scan(endpoint: string): Promise<Item[]> {
  const credentials = { accessKeyId: "local", secretAccessKey: "local" };
  const client = DynamoDBDocumentClient.from(
    new DynamoDBClient({ endpoint, region: "us-east-1", credentials }),
  );
  const items: Item[] = [];
  for await (const { Items = [] } of paginateScan({ client }, { TableName: TABLE })) items.push(...Items);
  client.destroy();
  return items;
}

const outboxOf = (items: readonly Item[]) =>
  items.flatMap(({ entry }) => (entry === undefined ? [] : [entry as OutboxEntry]));

/** Compares what stands in each chat with what should, part by part. */
async function judge(shown: readonly string[][], messagesPerChat: number, outbox: readonly OutboxEntry[]) {
  const uncertain = new Set(
    outbox.flatMap(({ parts }) => parts.filter(({ state }) => state === "uncertain").map(({ text }) => text)),
  );
  const lost: string[] = [];
  const doubled: string[] = [];
  const disordered: string[] = [];
  let uncertainShown = 0;
  let toldOfPoison = 0;
  for (const [chat, texted] of shown.entries()) {
    const expected: string[] = [];
    for (let n = 0; n < messagesPerChat; n++) {
      const name = nameOf(chat, n);
      const parts = name === POISONED ? [{ text: texts.failed }] : await renderMarkdown(replyTo(name));
      expected.push(...parts.map(({ text }) => text));
    }
    for (const part of expected) {
      const times = texted.filter((text) => text === part).length;
      const label = part.split("\n", 1)[0] ?? "";
      if (times > 1) doubled.push(label);
      if (uncertain.has(part)) uncertainShown += times;
      else if (times === 0) lost.push(label);
    }
    const places = texted.map((text) => expected.indexOf(text));
    if (places.some((place, at) => at > 0 && place < (places[at - 1] ?? 0))) disordered.push(`c${chat}`);
    toldOfPoison += texted.filter((text) => text === texts.failed).length;
  }
  return {
    uncertain: { parts: uncertain.size, shown: uncertainShown },
    lost,
    doubled,
    disordered,
    toldOfPoison,
  };
}

function unansweredOf(items: readonly Item[], chats: number, messagesPerChat: number): string[] {
  const replies = new Map<string, unknown[]>();
  for (const { sk, message, reply } of items) {
    if (!/^TURN#\d/.test(String(sk))) continue;
    replies.set(String(message), [...(replies.get(String(message)) ?? []), reply]);
  }
  const names = Array.from({ length: chats * messagesPerChat }, (_, n) =>
    nameOf(n % chats, Math.floor(n / chats)),
  );
  return names.filter((name) => {
    const turns = replies.get(name) ?? [];
    return turns.length !== 1 || turns[0] === undefined;
  });
}
