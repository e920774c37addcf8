import { setTimeout as sleep } from "node:timers/promises";
import type { OutboxEntry } from "@parley/core/telegram/outbox";
import { renderMarkdown } from "@parley/core/telegram/render/index";
import { texts } from "@parley/core/telegram/texts";
import type { ChatRequest } from "@parley/local/simulators/model/types";
import { createChance } from "@parley/local/telegram/chance";
import { DEAD } from "./queue.ts";
import { startTelegramRig } from "./telegram-rig.ts";

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
/** In real time, for their work does not get faster: the model's, and 11 s that are kept back for the sending. */
const WORKER_TIMEOUT_MS = 20_000;
/** Past the lease of a killed worker's turn: 15 s in a queue that runs fast. */
const VISIBILITY_TIMEOUT_S = 900;
const WORKERS = 12;
const MODEL_LATENCY_S = { least: 1, most: 45 };
const KILLED = 0.1;
const DUPLICATED = 0.05;
/** Within the queue's five minutes of deduplication, and past them. */
const REDELIVERED_AFTER_S = [20, 360];
const ANSWER_LOST = 0.02;
const WAVE_PAUSE_MS = 150;
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
  const draw = createChance(seed);
  const latencies = new Map<string, number>();
  const latencyMs = (name: string) => {
    const { least, most } = MODEL_LATENCY_S;
    const drawn = () => ((least + (most - least) * draw(`latency ${name}`)) * 1_000) / TIME_SCALE;
    const latency = latencies.get(name) ?? drawn();
    latencies.set(name, latency);
    return latency;
  };
  let kills = 0;

  /** Undefined: this attempt is left alone. Never the last attempt of all: that is what dead letters are for. */
  function killAfterMs(name: string, attempt: number): number | undefined {
    if (name === POISONED) return attempt <= 3 ? 200 : undefined;
    if (attempt >= 3 || draw(`kill ${name} ${attempt}`) >= KILLED) return undefined;
    return draw(`when ${name} ${attempt}`) * (latencyMs(name) + 100);
  }

  const rig = await startTelegramRig({
    timeScale: TIME_SCALE,
    workerTimeScale: 1,
    workerTimeoutMs: WORKER_TIMEOUT_MS,
    visibilityTimeoutS: VISIBILITY_TIMEOUT_S,
    maxWorkers: WORKERS,
    engines: { redis: {}, model: { latencyMs: ({ body }) => latencyMs(lastText(body)) } },
    botApi: { rateLimits: true },
    async invoke({ Records: [record] }, call) {
      const { update } = JSON.parse(record?.body ?? "") as { update: { message: { text: string } } };
      const after = killAfterMs(update.message.text, Number(record?.attributes.ApproximateReceiveCount));
      if (after === undefined) return call();
      const killing = new AbortController();
      const timer = setTimeout(() => {
        kills += 1;
        killing.abort();
      }, after);
      return call(killing.signal).finally(() => clearTimeout(timer));
    },
  });
  const { control, model, backend, poller } = rig;
  try {
    model.script([(request) => replyTo(lastMessage(request))], { repeat: true });
    await control.addFault({ kind: "answer_lost", method: "sendMessage", probability: ANSWER_LOST, seed });
    const senders = [];
    for (let n = 0; n < chats; n++) senders.push(await rig.person());
    for (let wave = 0; wave < messagesPerChat; wave++) {
      const after_seconds = REDELIVERED_AFTER_S[wave % REDELIVERED_AFTER_S.length] ?? 0;
      await control.duplicate({ probability: DUPLICATED, after_seconds, seed: seed + wave });
      for (const [chat, sender] of senders.entries()) await sender.say(nameOf(chat, wave));
      await sleep(WAVE_PAUSE_MS);
      if (wave === Math.floor(messagesPerChat / 2)) await backend.restart?.();
    }
    await control.settled({ timeout_ms: 120_000 });
    await poller.idle();
    const counters = await control.counters();
    const shown = await Promise.all(
      senders.map(async (sender) => (await sender.heard()).map(({ text = "" }) => text)),
    );
    const items = await rig.rows();
    return {
      messages: chats * messagesPerChat,
      kills,
      duplicates: counters.duplicates,
      lostAnswers: counters.faults["answer_lost"] ?? 0,
      ...(await judge(shown, messagesPerChat, outboxOf(items))),
      unanswered: unansweredOf(items, chats, messagesPerChat),
      deadLetters: rig.queue.peek(DEAD).map(({ body }) => JSON.parse(body).update.message.text as string),
      seconds: (performance.now() - startedAt) / 1_000,
    };
  } finally {
    await rig.close();
  }
}

function lastText(body: string): string {
  const { messages = [] } = JSON.parse(body || "{}") as { messages?: { role: string; content: string }[] };
  return messages.findLast(({ role }) => role === "user")?.content ?? "";
}

type Item = Record<string, unknown>;

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
  for (const { turn_id, message, reply } of items) {
    // Only turns have both.
    if (turn_id === undefined || message === undefined) continue;
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
