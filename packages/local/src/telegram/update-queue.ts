import type { Clock } from "./clock.ts";
import type { Update } from "./types.ts";

/** In bytes of JSON. A larger update is dropped before it has an id. */
const MAX_UPDATE_BYTES = 64 * 1024;
const DAY_SECONDS = 24 * 60 * 60;

/** Not delivered unless they are asked for by name. */
const ON_REQUEST = new Set(["chat_member", "message_reaction", "message_reaction_count"]);

/** Every kind of update that the Bot API has. */
const KINDS = new Set([
  ...[
    "message",
    "edited_message",
    "channel_post",
    "edited_channel_post",
    "inline_query",
    "poll",
    "poll_answer",
  ],
  ...["chosen_inline_result", "callback_query", "shipping_query", "pre_checkout_query", "my_chat_member"],
  ...["chat_member", "chat_join_request", "chat_boost", "removed_chat_boost", "message_reaction"],
  ...["message_reaction_count", "business_connection", "business_message", "edited_business_message"],
  ...["deleted_business_messages", "purchased_paid_media", "managed_bot", "guest_message"],
]);

export type QueuedUpdate = {
  id: number;
  /** Updates with the same lane are delivered one after another. */
  lane: string;
  body: string;
  /** In elapsed seconds of the clock. */
  expiresAt: number;
};

export type PushOptions = { lane: string; lifetimeSeconds?: number; id?: number };

export type UpdateQueue = {
  /** Pushes an update of a kind, if that is one that the bot wants. */
  offer(kind: string, payload: unknown, options: PushOptions): void;
  /** The update's fields beside its id. Undefined when it was dropped for its size. */
  push(fields: Record<string, unknown>, options: PushOptions): QueuedUpdate | undefined;
  /** What is waiting, oldest first; expired updates are dropped. */
  pending(): QueuedUpdate[];
  has(id: number): boolean;
  forget(id: number): void;
  /** Forgets an update because it is too old. */
  expire(id: number): void;
  clear(): void;
  /** Calls back for each update that comes in. Returns what ends it. */
  onPush(listener: (update: QueuedUpdate) => void): () => void;
  /** `undefined`: the default, all but the three that must be asked for. */
  allow(kinds: readonly string[] | undefined): void;
  allowed(): readonly string[] | undefined;
};

export type UpdateQueueOptions = {
  clock: Clock;
  firstId: number;
  onDrop(reason: "too_large" | "expired"): void;
};

/** What a bot has not received yet; Telegram keeps it for 24 hours. */
export function createUpdateQueue({ clock, firstId, onDrop }: UpdateQueueOptions): UpdateQueue {
  const updates = new Map<number, QueuedUpdate>();
  const listeners = new Set<(update: QueuedUpdate) => void>();
  let nextId = firstId;
  let allowed: readonly string[] | undefined;

  const isAllowed = (kind: string) => allowed?.includes(kind) ?? !ON_REQUEST.has(kind);

  function push(fields: Record<string, unknown>, options: PushOptions): QueuedUpdate | undefined {
    const { lane, lifetimeSeconds = DAY_SECONDS, id = nextId } = options;
    const content: Update = { ...fields, update_id: id };
    const body = JSON.stringify(content);
    if (Buffer.byteLength(body) > MAX_UPDATE_BYTES) {
      onDrop("too_large");
      return undefined;
    }
    nextId = id + 1;
    const update = { id, lane, body, expiresAt: clock.elapsed() + lifetimeSeconds };
    updates.set(id, update);
    for (const listener of listeners) listener(update);
    return update;
  }

  function expire(id: number): void {
    if (updates.delete(id)) onDrop("expired");
  }

  return {
    offer(kind, payload, options) {
      if (isAllowed(kind)) push({ [kind]: payload }, options);
    },
    push,
    pending() {
      for (const { id, expiresAt } of updates.values()) {
        if (expiresAt < clock.elapsed()) expire(id);
      }
      return [...updates.values()];
    },
    has: (id) => updates.has(id),
    forget: (id) => void updates.delete(id),
    expire,
    clear: () => updates.clear(),
    onPush(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    allow(kinds) {
      const known = kinds?.map((kind) => kind.toLowerCase()).filter((kind) => KINDS.has(kind));
      allowed = known === undefined || known.length === 0 ? undefined : known;
    },
    allowed: () => allowed,
  };
}
