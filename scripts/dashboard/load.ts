import { setTimeout as sleep } from "node:timers/promises";
import { type Observed, USUAL_WEATHER } from "./stack.ts";

/** Says what is going on. */
export type Tell = (what: string) => void;

const CITIES = ["Barcelona", "Oslo", "Lisbon", "Tokyo", "Nairobi", "Berlin", "Paris", "Quito"];
const SMALL_TALK = ["Hello!", "What can you do?", "Thank you!", "What time is it in Madrid?"];

const any = <T>(list: readonly T[]): T => list[Math.floor(Math.random() * list.length)] as T;

function question(): string {
  const dice = Math.random();
  if (dice < 0.4) return `What's the weather in ${any(CITIES)}?`;
  if (dice < 0.55) return `Will it rain in ${any(CITIES)} tomorrow?`;
  if (dice < 0.7) return "When is the next holiday?";
  return any(SMALL_TALK);
}

/** Visitors who come and go for `seconds`, while now and then something fails. Resolves when all have left. */
export async function load(stack: Observed, seconds: number, tell: Tell): Promise<void> {
  const over = AbortSignal.timeout(seconds * 1_000);
  const at = (share: number) => sleep(share * seconds * 1_000, undefined, { signal: over });
  const work = [
    ...["api", "api", "cli", "kiosk"].map((platform, nth) => visitor(stack, platform, nth, over)),
    mistakes(stack, over),
    chats(stack, over),
    traveller(stack, seconds, at, over),
    troubles(stack, at, tell),
  ];
  await Promise.all(work.map((one) => one.catch(unlessOver(over))));
}

/** Functions that have run before: what follows is not a story of cold starts. */
export async function warmUp(stack: Observed): Promise<void> {
  const session = (nth: number) => ({ platform: "api", user_id: "first", chat_id: `first-${nth}` });
  await Promise.all([
    ...[1, 2, 3].map((nth) =>
      call(stack, "POST", "/v1/messages", { message: "Hello!", session_metadata: session(nth) }),
    ),
    call(stack, "GET", "/v1/conversations"),
    call(stack, "GET", "/v1/conversations/conv_none"),
    ...[1, 2, 3].map(async () => onTelegram(stack, "send", { ...(await newChat(stack)), text: "Hello!" })),
  ]);
}

const unlessOver = (over: AbortSignal) => (error: unknown) => {
  if (!over.aborted) throw error;
};

async function call(stack: Observed, method: string, path: string, body?: object, key = stack.secret) {
  const response = await fetch(`${stack.url}${path}`, {
    method,
    headers: { "content-type": "application/json", "x-api-key": key },
    ...(body && { body: JSON.stringify(body) }),
  });
  return {
    status: response.status,
    body: (await response.json().catch(() => ({}))) as Record<string, string>,
  };
}

/** Asks, waits, asks on; changes the chat now and then, and looks at what was said. */
async function visitor(stack: Observed, platform: string, nth: number, over: AbortSignal): Promise<void> {
  for (let chat = 0; !over.aborted; chat++) {
    const session_metadata = { platform, user_id: `visitor-${nth}`, chat_id: `${nth}-${chat}` };
    let conversation = "";
    for (let turn = 0; turn < 6 && !over.aborted; turn++) {
      const { body } = await call(stack, "POST", "/v1/messages", { message: question(), session_metadata });
      conversation = body["conversation_id"] ?? conversation;
      await sleep(200 + Math.random() * 900, undefined, { signal: over });
    }
    await call(stack, "GET", `/v1/conversations/${conversation}`);
    await call(stack, "GET", "/v1/conversations");
  }
}

/** What clients get wrong, and what they send twice. */
async function mistakes(stack: Observed, over: AbortSignal): Promise<void> {
  const session_metadata = { platform: "api", user_id: "clumsy", chat_id: "clumsy" };
  for (let nth = 0; !over.aborted; nth++) {
    await sleep(1_200 + Math.random() * 1_500, undefined, { signal: over });
    const key = `again-${nth}`;
    const repeated = () =>
      fetch(`${stack.url}/v1/messages`, {
        method: "POST",
        headers: { "content-type": "application/json", "x-api-key": stack.secret, "idempotency-key": key },
        body: JSON.stringify({ message: "Hello!", session_metadata }),
      }).then((response) => response.text());
    await any([
      () => call(stack, "POST", "/v1/messages", { message: "" }),
      () => call(stack, "GET", "/v1/conversations/conv_none"),
      () => call(stack, "GET", "/v1/conversations", undefined, "a-wrong-key"),
      async () => [await repeated(), await repeated()],
    ])();
  }
}

/** Calls what a person does on the local Telegram. */
const onTelegram = async (stack: Observed, operation: string, argument: object) => {
  const response = await fetch(`${stack.botApiUrl}/_control/${operation}`, {
    method: "POST",
    body: JSON.stringify(argument),
  });
  if (!response.ok) throw new Error(`${operation}: ${await response.text()}`);
  return (await response.json()) as Record<string, number>;
};

async function newChat(stack: Observed): Promise<{ chat: number; from: number }> {
  const { id = 0 } = await onTelegram(stack, "createUser", {});
  await onTelegram(stack, "createPrivateChat", { user: id });
  return { chat: id, from: id };
}

async function chats(stack: Observed, over: AbortSignal): Promise<void> {
  const people = await Promise.all(Array.from({ length: 6 }, () => newChat(stack)));
  await Promise.all(
    people.map(async (where) => {
      while (!over.aborted) {
        await sleep(500 + Math.random() * 3_500, undefined, { signal: over });
        const text = Math.random() < 0.08 ? "/help" : question();
        await onTelegram(stack, "send", { ...where, text });
      }
    }),
  );
}

/** One thing after the other, each at its share of the time. */
async function troubles(stack: Observed, at: (share: number) => Promise<unknown>, tell: Tell): Promise<void> {
  const { model, weather, openMeteo, redis } = stack;
  const weatherIs = (fault: Parameters<typeof weather.inject>[0]) => {
    for (const provider of [weather, openMeteo]) {
      provider.reset();
      provider.inject(fault);
    }
  };
  const plan: [number, string, () => unknown][] = [
    [0.08, "Telegram loses answers", () => telegramTroubles(stack)],
    [0.15, "a message that nobody can answer", () => poison(stack)],
    [0.22, "both weather providers are down", () => weatherIs({ status: 503 })],
    [0.42, "the weather providers are back", () => weatherIs(USUAL_WEATHER)],
    [0.46, "somebody asks far too often", () => burst(stack)],
    [0.52, "/stop, in the middle of an answer", () => stopped(stack)],
    [0.6, "Redis is gone", () => redis.stop()],
    [0.68, "Redis is back", () => redis.start()],
    [0.74, "the model fails now and then", () => model.inject({ status: 500, times: 30 })],
    [0.82, "the model is slow", () => model.inject({ delayMs: 1_400, times: 40 })],
  ];
  let now = 0;
  for (const [share, what, begin] of plan) {
    await at(share - now);
    now = share;
    tell(what);
    await begin();
  }
}

async function telegramTroubles(stack: Observed): Promise<void> {
  for (const [kind, more] of [
    ["bad_gateway", { count: 3, probability: 0.4 }],
    ["too_many_requests", { count: 2, retry_after: 1, probability: 0.5 }],
    ["cant_parse_entities", { count: 2, probability: 0.5 }],
    ["blocked", { count: 1, probability: 0.3 }],
  ] as const) {
    await onTelegram(stack, "addFault", { kind, method: "sendMessage", ...more });
  }
  const where = await newChat(stack);
  // Nobody is addressed: the receiver lets it lie.
  await onTelegram(stack, "inject", { update: { channel_post: { message_id: 1, text: "news" } } });
  await onTelegram(stack, "send", { ...where, text: "What's the weather in Oslo?" });
}

/** Fails for the model whenever it is asked, until the queue gives it up. */
async function poison(stack: Observed): Promise<void> {
  const text = "Please say the word xyzzy.";
  stack.model.inject({ status: 500, bodyIncludes: text });
  await onTelegram(stack, "send", { ...(await newChat(stack)), text });
}

const FAR_AWAY =
  "Cairo Lima Rome Madrid Vienna Sydney Toronto Dublin Athens Prague Seoul Dakar Boston Chicago Porto Helsinki".split(
    " ",
  );

/** From one place that no cache has to the next, from when the weather provider is down until after it is back. */
async function traveller(
  stack: Observed,
  seconds: number,
  at: (share: number) => Promise<unknown>,
  over: AbortSignal,
): Promise<void> {
  const session_metadata = { platform: "api", user_id: "traveller", chat_id: "traveller" };
  await at(0.23);
  for (const city of FAR_AWAY) {
    await call(stack, "POST", "/v1/messages", {
      message: `What's the weather in ${city}?`,
      session_metadata,
    });
    await sleep((0.24 * seconds * 1_000) / FAR_AWAY.length, undefined, { signal: over });
  }
}

async function burst(stack: Observed): Promise<void> {
  await Promise.all(Array.from({ length: 70 }, () => call(stack, "GET", "/v1/conversations")));
}

async function stopped(stack: Observed): Promise<void> {
  const where = await newChat(stack);
  const text = "Write me an essay about patience.";
  stack.model.inject({ delayMs: 6_000, bodyIncludes: text, times: 2 });
  await onTelegram(stack, "send", { ...where, text });
  await sleep(800);
  await onTelegram(stack, "send", {
    ...where,
    text: "/stop",
    entities: [{ type: "bot_command", offset: 0, length: 5 }],
  });
}
