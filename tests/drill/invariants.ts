import { httpStatus } from "@parley/core/error";
import type { OutboxEntry, OutboxPart } from "@parley/core/telegram/outbox";
import { renderMarkdown } from "@parley/core/telegram/render/index";
import { GRACE_MS, type Outcome } from "./instances.ts";
import { readReply } from "./model-words.ts";
import { nameIn } from "./passing.ts";
import { type Attempt, type Conversation, isAnswer } from "./traffic.ts";

type Row = Record<string, unknown>;
/** A turn as the store has it. */
type Stored = { name: string; conversationId: string; seq: number; reply: string | undefined };

/** All that there is to judge by when nothing is under way any more. */
export type Evidence = {
  conversations: readonly Conversation[];
  rows: readonly Row[];
  /** Of each Telegram conversation, by its number: the bot's messages, oldest first. */
  chats: ReadonlyMap<number, readonly string[]>;
  askedTooSoon: ReadonlySet<string>;
  deadLetters: readonly string[];
  invocations: readonly Outcome[];
};

/** What an invariant's breach is called, and what breaks it. */
type Invariant = (evidence: Evidence) => string[] | Promise<string[]>;

const turnsOf = ({ conversations }: Evidence) => conversations.flatMap(({ turns }) => turns);

export function storedTurns(rows: readonly Row[]): Stored[] {
  return rows.flatMap(({ turn_id, message, conversation_id, seq, reply }) => {
    // Only turns have both.
    if (turn_id === undefined || message === undefined) return [];
    const text = (reply as { text: string } | undefined)?.text;
    const name = nameIn(String(message)) ?? String(message);
    return [{ name, conversationId: String(conversation_id), seq: Number(seq), reply: text }];
  });
}

/** Every message is one turn with one reply, and its own. */
const checkTurns: Invariant = (evidence) => {
  const stored = Map.groupBy(storedTurns(evidence.rows), ({ name }) => name);
  const said = new Map(turnsOf(evidence).map((turn) => [turn.name, turn]));
  const strange = [...stored.keys()].filter((name) => !said.has(name));
  return [
    ...strange.map((name) => `nothing invented: ${name} is stored and was never said`),
    ...[...said].flatMap(([name, { refused }]) => {
      const [turn, ...others] = stored.get(name) ?? [];
      if (!turn) return [`nothing lost: ${name} is not stored`];
      if (others.length > 0) return [`no duplicate: ${name} is stored ${others.length + 1} times`];
      if (turn.reply === undefined && refused) return [];
      if (turn.reply === undefined) return [`nothing lost: ${name} has no reply`];
      const { turn: answered } = readReply(turn.reply);
      return answered === name ? [] : [`no crossing: the reply to ${name} is ${answered}'s`];
    }),
  ];
};

/** A conversation's turns are numbered without a gap in the order in which they were said, and it is one conversation. */
const checkOrder: Invariant = ({ conversations, rows }) => {
  const stored = storedTurns(rows);
  return conversations.flatMap(({ turns, number }) => {
    const names = new Set(turns.map(({ name }) => name));
    const own = stored.filter(({ name }) => names.has(name)).sort((a, b) => a.seq - b.seq);
    const ids = new Set(own.map(({ conversationId }) => conversationId));
    if (ids.size > 1) return [`order kept: conversation ${number} fell into ${ids.size}`];
    const isInOrder = own.every(({ name, seq }, at) => seq === at + 1 && name === `c${number}m${at}`);
    return isInOrder
      ? []
      : [`order kept: conversation ${number} is ${own.map(({ name }) => name).join(" ")}`];
  });
};

/** The model was sent what came before in this conversation, answered, and nothing of another. */
const checkHistory: Invariant = ({ rows }) =>
  storedTurns(rows).flatMap(({ name, seq, reply }) => {
    // Is found elsewhere.
    if (reply === undefined) return [];
    const [, number] = /^c(\d+)m/.exec(name) ?? [];
    const { before } = readReply(reply);
    const expected = [seq - 3, seq - 2].filter((at) => at >= 0).map((at) => `c${number}m${at}`);
    const sent = before.map(({ turn }) => turn);
    const isOwn = before.every(({ turn, answered }) => turn === answered);
    if (isOwn && sent.join() === expected.join()) return [];
    return [
      `no crossing: for ${name} the model was sent ${before.map(({ turn, answered }) => `${turn}=${answered}`).join(" ") || "nothing"}`,
    ];
  });

/** What a client was told is what is kept. */
const checkTold: Invariant = (evidence) => {
  const stored = new Map(storedTurns(evidence.rows).map((turn) => [turn.name, turn]));
  const overWire = evidence.conversations.filter(({ kind }) => kind !== "telegram");
  return overWire
    .flatMap(({ turns }) => turns)
    .flatMap(({ name, told, refused }) => {
      if (refused) return [];
      if (!told) return [`answered in time: ${name} never was`];
      const turn = stored.get(name);
      if (told.reply === turn?.reply && told.conversationId === turn.conversationId) return [];
      return [`no crossing: ${name} was told something else than is stored`];
    });
};

/** The model is asked when the message is safe. */
const checkBegun: Invariant = ({ askedTooSoon }) =>
  [...askedTooSoon].map((name) => `stored before the model is asked: ${name}`);

/** Every attempt ends in time, with an answer or an error that says what to do. */
const checkAttempts: Invariant = (evidence) =>
  turnsOf(evidence).flatMap(({ name, attempts }) =>
    attempts.flatMap((attempt) => {
      const wrong = wrongWith(attempt);
      return wrong ? [`a clear error in time: ${name}: ${wrong}`] : [];
    }),
  );

/** Worth another attempt; anything else would tell the client that its message is wrong, or nothing at all. */
const CLEAR = new Set(["unavailable", "aborted", "deadline_exceeded"]);

function wrongWith({
  outcome,
  status,
  headers = {},
  body,
  ms,
  limitMs = 7_000,
}: Attempt): string | undefined {
  if (outcome.kind === "error") return `the function threw ${outcome.error.split("\n", 1)}`;
  // Nobody answers for a process that is gone or stopped.
  if (outcome.disturbed && outcome.kind !== "result") return undefined;
  if (outcome.kind !== "result")
    return `${outcome.kind} after ${Math.round(ms)} ms of an instance that was well`;
  if (ms > limitMs + GRACE_MS && !outcome.disturbed) return `${Math.round(ms)} ms`;
  if (isAnswer({ status })) return undefined;
  const { code, msg, meta } = JSON.parse(body ?? "{}") as { code?: string; msg?: string; meta?: object };
  const isBudget = code === "resource_exhausted" && meta !== undefined && "budget" in meta;
  if (code === undefined || !(CLEAR.has(code) || isBudget) || !msg) return `${status} ${body}`;
  if (httpStatus[code as keyof typeof httpStatus] !== status) return `${code} with ${status}`;
  return (status === 503 || status === 429) && headers["retry-after"] === undefined
    ? `${status} without retry-after`
    : undefined;
}

/** Every part of every answer stands in its chat once and in order; one of which nobody can know, once or not at all. */
const checkChats: Invariant = async ({ conversations, rows, chats }) => {
  const stored = new Map(storedTurns(rows).map((turn) => [turn.name, turn]));
  const outbox = rows.flatMap(({ entry }) => (entry === undefined ? [] : [entry as OutboxEntry]));
  const uncertain = new Set(
    outbox.flatMap(({ parts }) => parts.filter(({ state }) => state === "uncertain").map(({ text }) => text)),
  );
  const isUnderWay = ({ state }: OutboxPart) => state === "pending" || state === "sending";
  const done = new Set(
    outbox.flatMap(({ parts }) => (parts.some(isUnderWay) ? [] : [nameIn(parts[0]?.text ?? "")])),
  );
  const broken: string[] = [];
  for (const { number, turns } of conversations) {
    const shown = chats.get(number);
    if (!shown) continue;
    broken.push(
      ...turns.flatMap(({ name }) => (done.has(name) ? [] : [`answered in time: ${name} never was`])),
    );
    const expected = (
      await Promise.all(turns.map(({ name }) => renderMarkdown(stored.get(name)?.reply ?? "")))
    ).flatMap((parts) => parts.map(({ text }) => text));
    for (const part of expected) {
      const times = shown.filter((text) => text === part).length;
      const label = part.slice(0, 40);
      if (times > 1) broken.push(`no duplicate: in chat ${number} ${times} times: ${label}`);
      if (times === 0 && !uncertain.has(part)) broken.push(`nothing lost: not in chat ${number}: ${label}`);
    }
    const places = shown.map((text) => expected.indexOf(text));
    if (places.includes(-1))
      broken.push(`no crossing: in chat ${number}: ${shown[places.indexOf(-1)]?.slice(0, 80)}`);
    if (places.some((place, at) => at > 0 && place < (places[at - 1] ?? 0))) {
      broken.push(`order kept: chat ${number} is disordered`);
    }
  }
  return broken;
};

/** No update of a worker that could work was given up. */
const checkQueue: Invariant = ({ deadLetters, invocations }) => [
  ...deadLetters.map((name) => `nothing lost: ${name} is a dead letter`),
  ...invocations.flatMap((outcome) => {
    // One that was stopped comes to itself with no time left.
    if (outcome.kind === "result" || outcome.disturbed) return [];
    return [
      `a clear error in time: the Telegram worker: ${outcome.kind === "error" ? outcome.error : outcome.kind}`,
    ];
  }),
];

/** Each judges all that has happened so far. */
export const invariants: readonly Invariant[] = [
  ...[checkTurns, checkOrder, checkHistory, checkTold, checkBegun],
  ...[checkAttempts, checkChats, checkQueue],
];
