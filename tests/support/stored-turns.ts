import type {
  BeginTurn,
  ConversationStore,
  SessionClaim,
} from "@parley/core/conversation/conversation-store";
import type { Lease, Reply, Turn } from "@parley/core/conversation/types";
import { newConversationId, newHolderId, newMessageId, newTurnId } from "@parley/core/id";

/** What the store keeps, made for tests that talk to the store itself. */

/** So far ahead that no store removes what expires a while later. */
export const NOW = Date.UTC(2100, 10, 22, 14, 40, 12);
export const LEASE_MS = 30_000;

export const leaseFrom = (now: number): Lease => ({ holder: newHolderId(), until: now + LEASE_MS });

export function turnToBegin(fields: Partial<BeginTurn> = {}): BeginTurn {
  const { now = NOW } = fields;
  return {
    conversationId: newConversationId(now),
    turnCount: 0,
    owner: "owner",
    platform: "api",
    turnId: newTurnId(now),
    digest: "digest",
    message: "What's the weather in Barcelona?",
    messageId: newMessageId(now),
    lease: leaseFrom(now),
    now,
    ...fields,
  };
}

export function sessionClaim(fields: Partial<SessionClaim> = {}): SessionClaim {
  return {
    platform: "telegram",
    userId: "user",
    chatId: newTurnId(),
    leaving: undefined,
    activeSince: NOW - 30 * 60_000,
    ...fields,
  };
}

export function replyOf(text: string, fields: Partial<Reply> = {}): Reply {
  return {
    text,
    messageId: newMessageId(NOW),
    at: NOW + 1_000,
    steps: [
      {
        type: "tool_call",
        id: "call_1",
        name: "get_weather",
        arguments: '{"location":"Barcelona","days":null}',
      },
      { type: "tool_result", callId: "call_1", content: "Weather in Barcelona: 18 °C, sunny (simulated)" },
    ],
    usage: { input: 700, output: 40, cached: 0 },
    tokens: 90,
    model: "offline-model",
    promptVersion: "api-1",
    ...fields,
  };
}

/** Begins a turn that nobody has begun before. */
export async function begin(
  store: Pick<ConversationStore, "begin">,
  fields: Partial<BeginTurn> = {},
): Promise<Turn> {
  const begun = await store.begin(turnToBegin(fields));
  if (begun.outcome !== "begun") throw new Error(`the turn is ${begun.outcome}`);
  return begun.turn;
}

export const holderOf = ({ lease }: Turn): string => {
  if (!lease) throw new Error("nobody holds the turn");
  return lease.holder;
};

type Prefill = Partial<BeginTurn> & {
  /** The number of the first turn: 1 for a new conversation. */
  from?: number;
  title?: string;
  replyTo?: (seq: number) => Reply;
};

/** A conversation with turns up to number `count`, all done. */
export async function conversationOf(
  store: Pick<ConversationStore, "begin" | "complete">,
  count: number,
  { from = 1, title, replyTo = (seq) => replyOf(`reply ${seq}`), ...fields }: Prefill = {},
): Promise<string> {
  const conversationId = fields.conversationId ?? newConversationId();
  for (let seq = from; seq <= count; seq++) {
    const request = { message: `message ${seq}`, ...fields, conversationId, turnCount: seq - 1 };
    const turn = await begin(store, request);
    await store.complete(turn, holderOf(turn), replyTo(seq), seq === 1 ? title : undefined);
  }
  return conversationId;
}

/** Every item of a listing, page by page, and the sizes of its pages. */
export async function readAll<T>(
  page: (token: string | undefined) => Promise<{ items: T[]; nextToken?: string | undefined }>,
  between: (pages: number) => Promise<unknown> = async () => {},
): Promise<T[]> {
  const all: T[] = [];
  let token: string | undefined;
  for (let pages = 1; ; pages++) {
    const { items, nextToken } = await page(token);
    all.push(...items);
    if (nextToken === undefined) return all;
    if (pages > 1_000) throw new Error("the listing never ends");
    token = nextToken;
    await between(pages);
  }
}
