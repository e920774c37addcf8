import { setTimeout as sleep } from "node:timers/promises";
import { DEFAULT_MODEL } from "@parley/core/budget/price";
import { routes } from "@parley/functions/api/routes";
import { parseEmf } from "@parley/local/cloudwatch/emf";
import { type Gateway, type GatewayLog, startGateway } from "@parley/local/gateway/server";
import { sendJson } from "./http.ts";
import { apiKeysOf, newSecret, TASK_ROOT } from "./in-process.ts";
import { startTelegramRig, type TelegramRig } from "./telegram-rig.ts";

/** The queue's seconds in a real one: an update that fails three times is a dead letter in a few of them. */
const TIME_SCALE = 40;
const COOLDOWN_S = 1;
const KEY = newSecret("tester");
/** `OPENAI_FALLBACK_MODEL`, where one is set. */
export const FALLBACK_MODEL = "gpt-6-luna";

type Run = { rig: TelegramRig; open: (env?: Record<string, string>) => Promise<Caller> };
type Caller = {
  ask(
    message: string,
    more?: { chat?: string; platform?: string; headers?: Record<string, string> },
  ): Promise<Told>;
  get(path: string, headers?: Record<string, string>): Promise<Told>;
};
type Told = { status: number; json: Record<string, unknown> };

/**
 * Takes the API, the receiver and the worker through everything that they count, on real engines, and returns the lines
 * of EMF that they wrote.
 */
export async function everyPath(namespace: string): Promise<string[]> {
  const rig = await startTelegramRig({
    timeScale: TIME_SCALE,
    workerTimeScale: 1,
    env: { OPENAI_TIMEOUT_MS: "5000", POWERTOOLS_METRICS_NAMESPACE: namespace },
  });
  const log: GatewayLog[] = [];
  const gateways: Gateway[] = [];
  async function open(env: Record<string, string> = {}): Promise<Caller> {
    const gateway = await startGateway({
      routes,
      taskRoot: TASK_ROOT,
      env: { ...rig.env, CIRCUIT_BREAKER_COOLDOWN_SECONDS: String(COOLDOWN_S), ...env },
      log: (entry) => log.push(entry),
    });
    gateways.push(gateway);
    return callerOf(gateway.url);
  }
  try {
    const run = { rig, open };
    await turns(run);
    await weatherOutage(run);
    await modelTroubles(run);
    await limits(run);
    await budgets(run);
    await updates(run);
    await sends(run);
    await deadLetter(run);
    await withoutRedis(run);
    // What was written last is still on its way.
    await sleep(500);
  } finally {
    await Promise.all(gateways.map((gateway) => gateway.close()));
    await rig.close();
  }
  const own = log.flatMap((entry) => (entry.type === "output" ? [entry.line] : []));
  return [...rig.output(), ...own].filter((line) => parseEmf(line) !== undefined);
}

function callerOf(url: string): Caller {
  const headersOf = (headers = {}) => ({ "x-api-key": KEY.secret, ...headers });
  return {
    ask: (message, { chat = "one", platform = "api", headers } = {}) =>
      sendJson(url, {
        method: "POST",
        path: "/v1/messages",
        headers: headersOf(headers),
        json: { message, session_metadata: { platform, user_id: "somebody", chat_id: chat } },
      }),
    get: (path, headers) => sendJson(url, { path, headers: headersOf(headers) }),
  };
}

async function turns({ rig, open }: Run): Promise<void> {
  const api = await open();
  for (const platform of ["api", "cli", "kiosk"]) await api.ask("Hello!", { platform, chat: platform });
  await api.ask("What's the weather in Barcelona?");
  await api.ask("What's the weather in Barcelona?");
  await api.ask("Will it rain in Oslo tomorrow?");
  await api.ask("Will it rain in Oslo tomorrow?");
  await api.ask("When is the next holiday?");
  await api.ask("When is the next holiday?");
  await api.ask("What day is it today?");
  const headers = { "idempotency-key": "once" };
  await api.ask("Thank you!", { headers });
  await api.ask("Thank you!", { headers });
  // Redis has forgotten where the chat is; the store has not.
  for (const key of (await rig.redis.result("KEYS", "session:*")) as string[])
    await rig.redis.result("DEL", key);
  await api.ask("Thank you!");
  await api.get("/v1/conversations/conv_none");
}

/** Retries, then an open circuit and what is stale by now, then a probe that closes it. */
async function weatherOutage({ rig, open }: Run): Promise<void> {
  const api = await open();
  await api.ask("What's the weather in Lisbon?");
  await api.ask("Will it rain in Lisbon tomorrow?");
  await age(rig, 23 * 3_600_000);
  rig.weather.inject({ status: 503 });
  rig.openMeteo.inject({ status: 503 });
  await api.ask("What's the weather in Quito?");
  await api.ask("What's the weather in Nairobi?");
  await api.ask("What's the weather in Lisbon?");
  await api.ask("Will it rain in Lisbon tomorrow?");
  await api.ask("When is the next holiday?");
  rig.weather.reset();
  rig.openMeteo.reset();
  await sleep(COOLDOWN_S * 1_000 + 200);
  await api.ask("What's the weather in Berlin?");
}

/** Whatever is cached was stored so much earlier. */
async function age(rig: TelegramRig, ms: number): Promise<void> {
  for (const key of (await rig.redis.result("KEYS", "weather:*")) as string[]) {
    const entry = JSON.parse(String(await rig.redis.result("GET", key)));
    await rig.redis.result("SET", key, JSON.stringify({ ...entry, at: entry.at - ms }), "KEEPTTL");
  }
}

async function modelTroubles({ rig, open }: Run): Promise<void> {
  const api = await open({ RETRY_MAX_ATTEMPTS: "1" });
  rig.model.inject({ status: 500, times: 1, bodyIncludes: '"tools"' });
  await api.ask("Once more, please.");
  rig.model.inject({ status: 500, times: 2, bodyIncludes: '"tools"' });
  for (const platform of ["api", "cli", "kiosk"]) {
    rig.model.reset();
    rig.model.inject({ status: 500, times: 2, bodyIncludes: '"tools"' });
    await api.ask("That will not do.", { platform, chat: platform });
  }
  rig.model.reset();
  // A tool that there is not.
  rig.model.script([
    {
      message: {
        role: "assistant",
        content: null,
        tool_calls: [{ id: "1", type: "function", function: { name: "user_hunter2", arguments: "{}" } }],
      },
    },
    "There is no such tool.",
  ]);
  await api.ask("Use a tool of your own.");
  rig.model.script([]);
  // Down for longer than there are retries for, first without a fallback and then with one.
  rig.model.inject({ status: 500, bodyIncludes: `"model":"${DEFAULT_MODEL}"` });
  for (let nth = 0; nth < 4; nth++) await api.ask("Is it still down?");
  await (await open({ OPENAI_FALLBACK_MODEL: FALLBACK_MODEL })).ask("Who answers?");
  rig.model.reset();
}

async function limits({ open }: Run): Promise<void> {
  const keyed = await open({
    AUTH_MODE: "",
    API_KEYS: apiKeysOf(KEY),
    API_RATE_LIMIT_RPS: "1",
    API_RATE_LIMIT_BURST: "2",
  });
  await keyed.get("/v1/conversations", { "x-api-key": "wrong" });
  for (let nth = 0; nth < 4; nth++) await keyed.get("/v1/conversations");
}

async function budgets({ open }: Run): Promise<void> {
  for (const name of ["BUDGET_USER_TOKENS_PER_DAY", "BUDGET_KEY_TOKENS_PER_DAY"]) {
    const api = await open({ [name]: "1" });
    await api.ask("Hello!");
    await api.ask("Is there more?");
  }
}

async function updates({ rig }: Run): Promise<void> {
  const ann = await rig.person({ first_name: "Ann" });
  await ann.ask("What's the weather in Barcelona?");
  // Each attempt of one turn fails; the next answers it.
  rig.model.inject({ status: 500, times: 4, bodyIncludes: '"tools"' });
  await ann.ask("Another try, please.");
  const { id } = await rig.control.createGroup({ members: [ann.from] });
  await rig.speaker({ chat: id, from: ann.from }).say("nobody is meant");
  await rig.control.inject({ update: callbackOf(ann.from) });
  // Stopped in the middle of the answer.
  rig.model.inject({ delayMs: 4_000, times: 1, bodyIncludes: "essay" });
  await ann.say("Write me an essay.");
  await sleep(500);
  await ann.say("/stop");
  await rig.idle();
}

const callbackOf = (from: number) => ({
  callback_query: {
    id: "1",
    from: { id: from, is_bot: false, first_name: "Ann" },
    chat_instance: "1",
    data: "x",
  },
});

async function sends({ rig }: Run): Promise<void> {
  const kinds = [
    "bad_gateway",
    "chat_not_found",
    "cant_parse_entities",
    "too_many_requests",
    "blocked",
  ] as const;
  for (const kind of kinds) {
    const bob = await rig.person();
    await rig.control.addFault({ kind, method: "sendMessage", chat: bob.chat, count: 1, retry_after: 1 });
    await bob.say(kind === "cant_parse_entities" ? "/help" : "Hello!");
    await rig.idle();
  }
  // Only what has entities can fail to parse.
  const eve = await rig.person();
  await rig.control.addFault({
    kind: "cant_parse_entities",
    method: "sendMessage",
    chat: eve.chat,
    count: 1,
  });
  rig.model.script(["**bold**"], { repeat: true });
  await eve.say("Say it in bold.");
  await rig.idle();
  rig.model.script([]);
}

async function deadLetter({ rig }: Run): Promise<void> {
  rig.model.inject({ status: 500, bodyIncludes: "xyzzy" });
  await (await rig.person()).say("xyzzy");
  await rig.idle();
  rig.model.reset();
}

async function withoutRedis({ rig, open }: Run): Promise<void> {
  const api = await open({ REDIS_TIMEOUT_MS: "500", BUDGET_USER_TOKENS_PER_DAY: "1" });
  await rig.upstash.stop();
  await api.ask("Are you there?");
  await rig.upstash.start();
}
