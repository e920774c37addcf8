import type { Redis } from "@upstash/redis";
import type { Clock } from "../clock.ts";
import type { ConversationStore } from "../conversation/conversation-store.ts";
import type { SessionMetadata } from "../conversation/types.ts";
import { joinKey } from "../redis/keys.ts";
import * as z from "../schema.ts";

const stored = z.object({ conversation_id: z.string(), user_id: z.string() });

/**
 * Who is talking -> which conversation. Redis answers in one round trip and slides its 30 minutes with it; when it has
 * no answer (evicted, restarted, gone) the store has. The store decides in `begin`, so two first messages at once
 * agree on one conversation with or without Redis.
 */
export class Sessions {
  readonly ttlMs: number;
  readonly #redis: Pick<Redis, "getex" | "set" | "del">;
  readonly #store: Pick<ConversationStore, "sessionConversation">;
  readonly #clock: Clock;

  constructor(options: {
    redis: Pick<Redis, "getex" | "set" | "del">;
    store: Pick<ConversationStore, "sessionConversation">;
    /** How long a chat stays in its conversation after the last message. */
    ttlMs: number;
    clock: Clock;
  }) {
    this.ttlMs = options.ttlMs;
    this.#redis = options.redis;
    this.#store = options.store;
    this.#clock = options.clock;
  }

  /** The conversation that the chat is in; `cached` when Redis knew it. */
  async resolve(
    owner: string,
    session: SessionMetadata,
    signal: AbortSignal,
  ): Promise<{ conversationId: string; cached: boolean } | undefined> {
    const text = await this.#redis
      .getex<string>(sessionKey(owner, session), { px: this.ttlMs })
      // Redis is a fast path: its client has reported the failure.
      .catch(() => null);
    const known = text === null ? undefined : parse(text);
    if (known) return { conversationId: known, cached: true };
    const since = this.activeSince();
    const conversationId = await this.#store.sessionConversation(owner, session, since, signal);
    return conversationId === undefined ? undefined : { conversationId, cached: false };
  }

  async remember(owner: string, session: SessionMetadata, conversationId: string): Promise<void> {
    const value = JSON.stringify({ conversation_id: conversationId, user_id: session.userId });
    await this.#redis.set(sessionKey(owner, session), value, { px: this.ttlMs }).catch(() => undefined);
  }

  /** After the conversation was erased. Nothing is lost if Redis keeps it: the store knows no such conversation. */
  async forget(owner: string, session: SessionMetadata): Promise<void> {
    await this.#redis.del(sessionKey(owner, session)).catch(() => undefined);
  }

  /** A conversation whose last activity is before this time has ended for its chat. */
  activeSince(): number {
    return this.#clock.now() - this.ttlMs;
  }
}

/** `session:{owner}:{platform}:{chat_id}`: a chat id of one owner says nothing of another's. */
const sessionKey = (owner: string, { platform, chatId }: SessionMetadata) =>
  joinKey("session", owner, platform, chatId);

function parse(text: string): string | undefined {
  try {
    return stored.safeParse(JSON.parse(text)).data?.conversation_id;
  } catch {
    return undefined;
  }
}
