import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { BotApiError } from "./api-error.ts";
import { type Bot, type BotOptions, count, createBot } from "./bot.ts";
import { createWebhooks } from "./bot-webhook.ts";
import { createClock } from "./clock.ts";
import { type BotApiControl, createControl } from "./control.ts";
import { answerControl, CONTROL_PATH } from "./control-http.ts";
import { createFaults, errorOf, type Fault } from "./faults.ts";
import { createMethods } from "./methods.ts";
import { type Params, readParams } from "./params.ts";
import { People } from "./people.ts";
import { World } from "./world.ts";

export type BotApiOptions = {
  /** 0 or absent: any free port. */
  port?: number;
  /** What messages and updates are dated with. By default simulated time that began at the real time. */
  now?: () => Date;
  /** How many times as fast as real time all of Telegram's waits and limits run; 1 by default. */
  timeScale?: number;
  /** One bot called `parley_local_bot` by default. */
  bots?: readonly BotOptions[];
  /** Whether sending too fast is answered with 429, as it is by default. */
  rateLimits?: boolean;
};

export type BotApi = {
  /** What clients call the API root: `http://127.0.0.1:{port}`. */
  url: string;
  /** What people do, faults, transcripts: the same as under `/_control/` over HTTP. */
  control: BotApiControl;
  /** Ends all connections; deliveries and long polls are broken off. */
  close(): Promise<void>;
};

export const LOCAL_BOT = {
  token: "1234567:local-bot-token",
  username: "parley_local_bot",
  first_name: "Parley",
} as const satisfies BotOptions;

const MAX_BODY = 10 * 1024 * 1024;
/** How a call ended: with an answer, with none for as long as the client waits, or with a broken connection. */
type Ending = { status: number; body: string; retryAfter?: number | undefined } | "hang" | "broken";

/**
 * A Telegram of one's own: the Bot API on 127.0.0.1 with simulated people and chats behind it, as strict as the real
 * one and with faults on demand. Rejects with the listen error, such as `EADDRINUSE`.
 *
 * As Telegram does, by the source of its Bot API server and TDLib: `/bot<token>/<method>` by GET and POST with query,
 * JSON, form-urlencoded and multipart parameters; its errors word by word; texts of 1 to 4096 UTF-16 units, cleaned
 * and trimmed; entities (see `readText`), inline keyboards, replies and topics checked; consecutive update ids;
 * webhook deliveries with lanes, retries and expiry (see `startWebhook`), methods in their answers; updates over
 * 64 KiB dropped; privacy mode; long polling with 409; rates of about 1 message a second and chat (bursts of 5), 20 a
 * minute and group, 30 a second.
 *
 * Stricter than Telegram: entities that it would silently drop or mend are refused, and a callback query can be
 * answered once. Milder: webhooks on this machine may be http on any port, setWebhook may be called at any rate.
 *
 * Not covered: parse_mode (refused), all methods but those of `createMethods` (404), sending media, channels, inline
 * mode, payments, reactions, chat_member updates, downloads of files, rich messages and drafts. Detection of links
 * without a scheme knows few top-level domains; overlapping entities are not split, and adjacent ones not merged, in
 * what sendMessage returns. A webhook is not given up after a day of 410, nor are new connections throttled.
 */
export async function startBotApi(options: BotApiOptions = {}): Promise<BotApi> {
  const { bots: botOptions = [LOCAL_BOT], rateLimits = true } = options;
  const clock = createClock(options.timeScale, options.now);
  const bots = botOptions.map((each) => createBot(each, clock, rateLimits));
  const world = new World(bots, clock);
  const people = new People(world);
  const faults = createFaults();
  const closing = new AbortController();
  const webhooks = createWebhooks(clock, (bot, method, params) => {
    call(bot, method, params).catch(() => undefined);
  });
  const methods = createMethods(world, people, webhooks);
  const control = createControl({ world, people, faults, webhooks });

  async function call(bot: Bot, requested: string, params: Params): Promise<Ending> {
    const method = methods.find(requested);
    if (method === undefined) return refusal(new BotApiError(404, "Not Found: method not found"));
    const { name } = method;
    count(bot.counters.calls, name);
    const execute = () => resultOf(() => method.execute(bot, params));
    const chat = params.has("chat_id") ? Number(params.text("chat_id")) : undefined;
    const fault = faults.take({ bot: bot.user.username, method: name, chat, text: params.text("text") });
    if (fault === undefined) return execute();
    count(bot.counters.faults, fault.kind);
    if (fault.kind !== "slow") return fail(fault, execute);
    await sleep(clock.realMs(fault.delay_seconds ?? 1), undefined, { signal: closing.signal });
    return execute();
  }

  async function fail(fault: Fault, execute: () => Promise<Ending>): Promise<Ending> {
    if (fault.kind === "answer_lost" || fault.executed === true) await execute();
    if (fault.kind === "hang") return "hang";
    const error = errorOf(fault);
    return error === undefined ? "broken" : refusal(error);
  }

  async function route(incoming: IncomingMessage): Promise<Ending> {
    const url = new URL(incoming.url ?? "/", "http://127.0.0.1");
    const body = await readBody(incoming);
    if (body === undefined) return refusal(new BotApiError(413, "Request Entity Too Large"));
    const method = incoming.method ?? "GET";
    if (url.pathname.startsWith(CONTROL_PATH)) return answerControl(control, method, url.pathname, body);
    if (method !== "GET" && method !== "POST") return refusal(new BotApiError(405, "Method Not Allowed"));
    const [, token, name] = /^\/bot([^/]*)\/([^/]*)\/?$/.exec(url.pathname.replace("%3A", ":")) ?? [];
    if (token === undefined || name === undefined) return refusal(new BotApiError(404, "Not Found"));
    const bot = bots.find((each) => each.token === token);
    if (bot === undefined) {
      const known = /^[1-9]\d*:/.test(token);
      return refusal(new BotApiError(401, known ? "Unauthorized" : "Unauthorized: invalid token specified"));
    }
    const params = await readParams(url.searchParams, incoming.headers["content-type"] ?? "", body);
    return call(bot, name === "" ? params.text("method") : name, params);
  }

  const server = createServer((incoming, response) => {
    route(incoming).then(
      (ending) => send(response, ending),
      (error: unknown) => {
        if (closing.signal.aborted || response.destroyed) response.destroy();
        else send(response, refusal(new BotApiError(500, `Internal Server Error: ${String(error)}`)));
      },
    );
  });
  // Longer than clients keep an idle connection, or they meet it closing.
  server.keepAliveTimeout = 65_000;
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(options.port ?? 0, "127.0.0.1", resolve);
  });

  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    control,
    close: () =>
      new Promise((resolve) => {
        closing.abort();
        webhooks.close();
        for (const bot of bots) bot.polling.interrupt();
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

async function resultOf(execute: () => unknown): Promise<Ending> {
  try {
    return { status: 200, body: JSON.stringify({ ok: true, result: await execute() }) };
  } catch (error) {
    if (error instanceof BotApiError) return refusal(error);
    throw error;
  }
}

const refusal = (error: BotApiError): Ending => ({
  status: error.code,
  body: error.toBody(),
  retryAfter: error.parameters?.retry_after,
});

function send(response: ServerResponse, ending: Ending): void {
  if (ending === "hang") return;
  if (ending === "broken") return void response.destroy();
  const { status, body, retryAfter } = ending;
  response.writeHead(status, {
    "content-type": "application/json",
    "content-length": Buffer.byteLength(body),
    ...(retryAfter === undefined ? {} : { "retry-after": String(retryAfter) }),
  });
  response.end(body);
}

/** Undefined when there is more of it than Telegram takes. */
async function readBody(incoming: IncomingMessage): Promise<Buffer<ArrayBuffer> | undefined> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of incoming as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size <= MAX_BODY) chunks.push(chunk);
  }
  return size <= MAX_BODY ? Buffer.concat(chunks) : undefined;
}
