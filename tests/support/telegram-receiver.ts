import { startEngines } from "../performance/engines.ts";
import { startTestBotApi } from "./bot-api.ts";
import type { FunctionAnswer, Functions } from "./in-process.ts";
import { loadFunctions } from "./in-process.ts";
import { openQueue, QUEUE } from "./queue.ts";
import { BOT, type Fields, messageOf } from "./telegram-messages.ts";
import { restClient } from "./upstash-rest.ts";

export const SECRET = "s3cret-of-the-webhook";
export const PREVIOUS_SECRET = "the-secret-before-it";
/** In every text, and so to be found where no text may be. */
export const MARK = "xyzzy";
export const OTHER_TOKEN = "5151:another-token";

/** A delivery as Telegram makes it, unless it is said otherwise. A text or a buffer is the body as it is. */
export type Delivery = {
  update: unknown;
  bot?: string;
  /** null sends none. */
  secret?: string | null;
  headers?: Record<string, string>;
  timeoutMs?: number;
};

let lastUpdateId = 10_000;
/** An update with an id of its own. */
export const newUpdate = (fields: Fields): Fields => ({ update_id: ++lastUpdateId, ...fields });
/** A text of Ada's in private, unless it is said otherwise. */
export const textUpdate = (fields: Fields = {}): Fields =>
  newUpdate({ message: messageOf({ text: `hello ${MARK}`, ...fields }) });

/** Requests at the sockets of what the receiver could talk to. */
export type Asked = { queue: number; redis: number; store: number; telegram: number };
export const NOBODY: Asked = { queue: 0, redis: 0, store: 0, telegram: 0 };

/** What an update that is nobody's business comes to. */
export const ACKNOWLEDGED = { status: 200, json: {}, enqueued: [] };

/** The webhook's function in this process, one deployment of it at a time, on real engines that tests can look into. */
export async function startReceiver() {
  const [engines, queue, botApi] = await Promise.all([startEngines(), openQueue(), startTestBotApi()]);
  const env: Record<string, string> = {
    ...engines.env,
    AWS_ENDPOINT_URL_SQS: queue.url,
    TELEGRAM_QUEUE_URL: queue.queueUrl(QUEUE),
    TELEGRAM_BOTS: `${BOT.name}=${BOT.token}`,
    TELEGRAM_WEBHOOK_SECRET: SECRET,
    TELEGRAM_API_ROOT: botApi.url,
  };
  const output: string[] = [];
  let functions: Functions | undefined;

  /** A deployment with these settings, in place of the one before. */
  function deploy(own: Record<string, string> = {}): void {
    retire();
    functions = loadFunctions({ ...env, ...own });
  }

  function retire(): void {
    functions?.close();
    output.push(...(functions?.output ?? []));
    functions = undefined;
  }

  async function send(delivery: Delivery): Promise<FunctionAnswer> {
    const { update, bot = BOT.name, secret = SECRET, timeoutMs } = delivery;
    const { headers = { "content-type": "application/json" } } = delivery;
    if (!functions) throw new Error("nothing is deployed");
    return functions.ask({
      method: "POST",
      target: `/telegram/${bot}`,
      headers: { ...headers, ...(secret === null ? {} : { "x-telegram-bot-api-secret-token": secret }) },
      body: typeof update === "string" || Buffer.isBuffer(update) ? update : JSON.stringify(update),
      ...(timeoutMs === undefined ? {} : { timeoutMs }),
    });
  }

  /** What came into the queue while `work` ran, in order. */
  async function enqueuedBy(work: () => Promise<unknown>) {
    const before = new Set(queue.peek(QUEUE).map(({ messageId }) => messageId));
    await work();
    return queue.peek(QUEUE).filter(({ messageId }) => !before.has(messageId));
  }

  async function asked(): Promise<Asked> {
    const { calls } = await botApi.control.counters();
    return {
      queue: queue.requests().count,
      redis: engines.upstash.requests().count,
      store: engines.storeEngine.requests().count,
      telegram: Object.values(calls).reduce((sum, count) => sum + count, 0),
    };
  }

  return {
    queue,
    upstash: engines.upstash,
    redis: restClient(engines.upstash),
    deploy,
    send,
    enqueuedBy,

    /** What one update is answered with, and what it put in the queue. */
    async outcomeOf(update: unknown, rest: Omit<Delivery, "update"> = {}) {
      let answer: FunctionAnswer | undefined;
      const enqueued = await enqueuedBy(async () => {
        answer = await send({ update, ...rest });
      });
      return { status: answer?.status, json: answer?.json, enqueued };
    },

    /** How often each service was asked while `work` ran. */
    async askedBy(work: () => Promise<unknown>): Promise<Asked> {
      const before = await asked();
      await work();
      const after = await asked();
      return {
        queue: after.queue - before.queue,
        redis: after.redis - before.redis,
        store: after.store - before.store,
        telegram: after.telegram - before.telegram,
      };
    },

    /** The lines of this deployment's log that contain a text. */
    logged: (part: string) => functions?.output.filter((line) => line.includes(part)) ?? [],

    /** Ends the deployment. Returns which of the texts that are nobody's business are in a log since the last time. */
    leaks(): string[] {
      retire();
      const log = output.splice(0).join("\n");
      return [SECRET, PREVIOUS_SECRET, BOT.token, OTHER_TOKEN, MARK].filter((text) => log.includes(text));
    },

    async close() {
      retire();
      await Promise.all([engines.close(), queue.close(), botApi.close()]);
    },
  };
}

export type Receiver = Awaited<ReturnType<typeof startReceiver>>;
