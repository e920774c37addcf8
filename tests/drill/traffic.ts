import { setTimeout as sleep } from "node:timers/promises";
import { createChance } from "@parley/local/telegram/chance";
import { type Speaker, speakers } from "../support/telegram-speaker.ts";
import type { Asked } from "./front.ts";
import { messageOf } from "./model-words.ts";
import type { Stage } from "./stage.ts";

export type Kind = "session" | "id" | "telegram";
/** Who talks by what: 20 at once. */
const KINDS: readonly Kind[] = [
  ...Array<Kind>(7).fill("session"),
  ...Array<Kind>(7).fill("id"),
  ...Array<Kind>(6).fill("telegram"),
];
const CITIES = [
  "Barcelona",
  "Madrid",
  "Lisbon",
  "Porto",
  "Paris",
  "Lyon",
  "London",
  "Dublin",
  "Berlin",
  "Munich",
];
const ASKS_FOR_WEATHER = 1 / 3;
const PAUSE_MS = 400;
/** A client asks again so much later, unless it is told to wait longer, which it does up to `MOST`. */
const RETRY_MS = { least: 200, most: 700 };
/** A client gives a turn up after so long: then it counts as lost. */
const PATIENCE_MS = 60_000;
const SETTLE_MS = 60_000;

export type Attempt = Asked & { ms: number; limitMs: number | undefined };
/** A conversation's first is 201. */
export const isAnswer = ({ status }: { status?: number | undefined }) => status === 200 || status === 201;

/** Until tomorrow; what others hold of it may be free in a moment. */
const isOverBudget = ({ status, body = "" }: Asked) => status === 429 && body.includes('"resets_at"');

export type DrillTurn = {
  name: string;
  conversation: number;
  city: string | undefined;
  fault: string;
  saidAt: number;
  answeredAt?: number;
  /** What the client was told in the end; Telegram's chats are read at the end. */
  /** Its user has used up the day's budget: it has no answer today. */
  refused?: true;
  told?: { conversationId: string; reply: string };
  attempts: Attempt[];
};
export type Conversation = {
  number: number;
  kind: Kind;
  turns: DrillTurn[];
  id?: string;
  /** By whom it is said, where that is not its own alone. */
  user?: string;
  speaker?: Speaker;
};

export type Traffic = Awaited<ReturnType<typeof startTraffic>>;

/** Twenty conversations, each of which says one thing after another. */
export async function startTraffic(stage: Stage, seed: number) {
  const draw = createChance(seed);
  const conversations: Conversation[] = KINDS.map((kind, number) => ({ number, kind, turns: [] }));
  const speaker = speakers(stage.botApi.control);
  for (const conversation of conversations.filter(({ kind }) => kind === "telegram")) {
    const { id } = await stage.botApi.control.createUser();
    await stage.botApi.control.createPrivateChat({ user: id });
    conversation.speaker = speaker({ chat: id, from: id });
  }

  function newTurn(conversation: Conversation, fault: string, weather: number): DrillTurn {
    const name = `c${conversation.number}m${conversation.turns.length}`;
    const asks = draw(`asks ${name}`) < weather;
    const city = asks ? CITIES[Math.floor(draw(`city ${name}`) * CITIES.length)] : undefined;
    const turn = {
      name,
      conversation: conversation.number,
      city,
      fault,
      saidAt: performance.now(),
      attempts: [],
    };
    conversation.turns.push(turn);
    return turn;
  }

  async function ask(
    conversation: Conversation,
    turn: DrillTurn,
    limitMs: number | undefined,
  ): Promise<void> {
    while (performance.now() - turn.saidAt < PATIENCE_MS) {
      const startedAt = performance.now();
      const { target, ...rest } = placeOf(conversation);
      const body = JSON.stringify({ message: messageOf(turn.name, turn.city), ...rest });
      const asked = await stage.front.post({
        target,
        headers: { "idempotency-key": turn.name },
        body,
        limitMs,
      });
      turn.attempts.push({ ...asked, ms: performance.now() - startedAt, limitMs });
      if (isAnswer(asked)) {
        const { conversation_id, reply } = JSON.parse(asked.body ?? "") as {
          conversation_id: string;
          reply: string;
        };
        turn.answeredAt = performance.now();
        turn.told = { conversationId: conversation_id, reply };
        conversation.id ??= conversation_id;
        return;
      }
      if (isOverBudget(asked)) {
        turn.refused = true;
        return;
      }
      await sleep(RETRY_MS.least + (RETRY_MS.most - RETRY_MS.least) * draw(`retry ${turn.name}`));
    }
  }

  async function talk(conversation: Conversation, how: Wave): Promise<void> {
    for (let said = 0; said < how.messages; said++) {
      await sleep(PAUSE_MS * draw(`pause c${conversation.number}`));
      const turn = newTurn(conversation, how.fault, how.weather ?? ASKS_FOR_WEATHER);
      if (conversation.speaker) await conversation.speaker.say(messageOf(turn.name, turn.city));
      else await ask(conversation, turn, how.limitMs);
    }
  }

  const strangers: Conversation[] = [];
  const everybody = () => [...conversations, ...strangers];

  return {
    all: everybody,
    /** Those that go on all the time. */
    talkers: conversations.length,
    turns: () => everybody().flatMap(({ turns }) => turns),
    /** Somebody new asks something, for weather unless it is said by whom, in a conversation of one turn. */
    async stranger(fault: string, user?: string): Promise<void> {
      const number = conversations.length + strangers.length;
      const kind = user === undefined ? "id" : "session";
      const conversation: Conversation = { number, kind, turns: [], ...(user !== undefined && { user }) };
      strangers.push(conversation);
      await ask(conversation, newTurn(conversation, fault, user === undefined ? 1 : 0), undefined);
    },
    /** Every conversation says so much; resolves when all is answered or given up. */
    async wave(how: Wave): Promise<void> {
      await Promise.all(conversations.map((conversation) => talk(conversation, how)));
      // What is not delivered by then is found where answers are looked for.
      await stage.botApi.control.settled({ timeout_ms: SETTLE_MS }).catch(() => undefined);
      await Promise.race([stage.poller.idle(), sleep(SETTLE_MS, undefined, { ref: false })]);
      for (const turn of conversations.flatMap(({ kind, turns }) => (kind === "telegram" ? turns : []))) {
        const at = stage.recorder.saidAt.get(turn.name);
        if (at !== undefined) turn.answeredAt ??= at;
      }
    },
  };
}

export type Wave = {
  fault: string;
  messages: number;
  /** The share that asks for weather. */
  weather?: number | undefined;
  /** The API's function limit. */
  limitMs?: number | undefined;
};

function placeOf({ kind, id, number, user = `u${number}` }: Conversation) {
  if (kind === "session") {
    const session_metadata = { platform: "api", user_id: user, chat_id: `c${number}` };
    return { target: "/v1/messages", session_metadata };
  }
  return { target: id === undefined ? "/v1/conversations" : `/v1/conversations/${id}/messages` };
}
