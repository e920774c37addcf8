import type { Redis } from "@upstash/redis";
import { joinKey, sha256 } from "../redis/keys.ts";
import * as z from "../schema.ts";
import { type Place, placeKey } from "./update.ts";

const STOP_KEPT_S = 3_600;
const FORBIDDEN_KEPT_S = 86_400;
const LAST_KEPT_S = 48 * 3_600;

/** A place's newest message: which one, what it said, and the update that told. */
const lastMessage = z.object({ message_id: z.int(), digest: z.string(), update_id: z.int() });

export type Said = { messageId: number; text: string; updateId: number };

/**
 * What is known of a chat beside its conversation, in Redis: conveniences, all of them. Without Redis nothing can be
 * stopped, no edit is answered, and a chat that blocked the bot is found out anew.
 */
export class ChatState {
  readonly #redis: Pick<Redis, "get" | "set">;
  readonly #bot: string;

  constructor(options: { redis: Pick<Redis, "get" | "set">; bot: string }) {
    this.#redis = options.redis;
    this.#bot = options.bot;
  }

  /** `/stop` was said in this update: what came before it is not to be answered. False when nobody will know. */
  stop(place: Place, updateId: number): Promise<boolean> {
    return this.#set("stop", placeKey(place), String(updateId), STOP_KEPT_S);
  }

  /** Whether a later update said `/stop`. */
  async isStopped(place: Place, updateId: number): Promise<boolean> {
    return Number((await this.#get("stop", placeKey(place))) ?? 0) > updateId;
  }

  /** The chat refuses the bot. Whoever writes later than this (in Unix seconds) has let it in again. */
  async forbid(place: Place, nowS: number): Promise<void> {
    await this.#set("forbidden", String(place.chat), String(nowS), FORBIDDEN_KEPT_S);
  }

  /** Whether an answer to a message of this time (in Unix seconds) would reach nobody. */
  async isForbidden(place: Place, messageDateS: number): Promise<boolean> {
    return Number((await this.#get("forbidden", String(place.chat))) ?? 0) > messageDateS;
  }

  /** The message is the place's newest. */
  async remember(place: Place, { messageId, text, updateId }: Said): Promise<void> {
    const value = { message_id: messageId, digest: sha256(text), update_id: updateId };
    await this.#set("last", placeKey(place), JSON.stringify(value), LAST_KEPT_S);
  }

  /**
   * Whether this edit made another text of the place's newest message; that is what is remembered then. The same update
   * again gets the same answer.
   */
  async isNewsOfLast(place: Place, edit: Said): Promise<boolean> {
    const text = await this.#get("last", placeKey(place));
    const last = text === null ? undefined : lastMessage.safeParse(parseJson(text)).data;
    if (last?.message_id !== edit.messageId) return false;
    if (last.update_id === edit.updateId) return true;
    if (last.digest === sha256(edit.text)) return false;
    await this.remember(place, edit);
    return true;
  }

  // The client has reported the failure; see above for what is missed.
  #get(kind: string, place: string): Promise<string | null> {
    return this.#redis.get<string>(this.#key(kind, place)).catch(() => null);
  }

  #set(kind: string, place: string, value: string, seconds: number): Promise<boolean> {
    return this.#redis.set(this.#key(kind, place), value, { ex: seconds }).then(
      () => true,
      () => false,
    );
  }

  #key(kind: string, place: string): string {
    return joinKey("telegram", kind, this.#bot, place);
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
