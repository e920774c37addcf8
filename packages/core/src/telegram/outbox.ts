import type { RenderedPart } from "./render/index.ts";
import type { Place } from "./update.ts";

/**
 * A part on its way out. `sending` is written before the call and another state after it: a worker that finds
 * `sending` knows that somebody died in between, and that the part may have arrived.
 */
export type PartState = "pending" | "sending" | "sent" | "uncertain" | "dropped";
export type OutboxPart = RenderedPart & { state: PartState };
export type OutboxEntry = {
  id: string;
  place: Place;
  /** Whose message it answers. */
  userId?: string | undefined;
  replyTo?: number | undefined;
  parts: OutboxPart[];
};

/** Telegram delivers an update again for 24 hours; twice that, in seconds. */
export const OUTBOX_KEPT_S = 48 * 3_600;

/**
 * What is to be said in answer to an update, stored before any of it is said. It is kept with the conversations and not
 * in Redis: what Redis forgets in a restart would be said twice.
 */
export interface Outbox {
  get(id: string): Promise<OutboxEntry | undefined>;

  /** Stores the entry, its first part `sending` by the caller. Unless there is one: then the one that stands. */
  open(entry: OutboxEntry): Promise<{ entry: OutboxEntry; created: boolean }>;

  /** Part `index` from `pending` to `sending`, by the caller. False: somebody else works on it. */
  take(id: string, index: number): Promise<boolean>;

  /**
   * Part `index` from `sending` to what became of it, and the next one, if any, from `pending` to `sending`, by the
   * caller, in one write. False: somebody else has decided on it.
   */
  settle(id: string, index: number, state: Exclude<PartState, "sending">, next: boolean): Promise<boolean>;
}
