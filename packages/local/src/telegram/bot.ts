import { type Clock, unixTime } from "./clock.ts";
import { type CommandMenu, createCommandMenu } from "./commands.ts";
import { createPolling, type Polling } from "./polling.ts";
import { createRateLimits, type RateLimits } from "./rate-limits.ts";
import type { User } from "./types.ts";
import { createUpdateQueue, type UpdateQueue } from "./update-queue.ts";
import type { Webhook } from "./webhook.ts";

export type BotOptions = {
  token: string;
  username: string;
  /** By default what the token begins with. */
  id?: number;
  first_name?: string;
  /** Privacy mode is off: the bot sees all that is said in groups. False by default, as with a new bot. */
  can_read_all_group_messages?: boolean;
};

/** What has happened to one bot's updates and calls since the start. */
export type Counters = {
  /** Updates that were made for the bot. */
  updates: number;
  /** Requests to the webhook, repeated ones included. */
  deliveries: number;
  /** Deliveries that the webhook answered with 2xx. */
  delivered: number;
  /** Deliveries after the first of an update, because that failed. */
  retries: number;
  /** Deliveries that were asked for although the update had been delivered. */
  duplicates: number;
  dropped: { too_large: number; expired: number };
  /** Calls by method, failed ones included. */
  calls: Record<string, number>;
  /** Calls that were answered with 429 because of the rate, not of a fault. */
  rate_limited: number;
  /** Messages from the bot by chat, those included whose answer was lost. */
  sends: Record<string, number>;
  /** Calls that faults have struck, by kind. */
  faults: Record<string, number>;
};

export type Bot = {
  token: string;
  user: User & { username: string };
  readsAll: boolean;
  updates: UpdateQueue;
  polling: Polling;
  commands: CommandMenu;
  limits: RateLimits;
  counters: Counters;
  webhook: Webhook | undefined;
  /** `date` is Unix time in seconds. */
  lastError: { date: number; message: string } | undefined;
  fail(message: string): void;
};

export function createBot(options: BotOptions, clock: Clock, rateLimits: boolean): Bot {
  const { token, username, first_name = username } = options;
  const id = options.id ?? Number.parseInt(token, 10);
  if (!/^\d+:[\w-]+$/.test(token)) throw new TypeError(`a bot's token looks like 123456:abc, not ${token}`);
  const counters = noCounts();
  const updates = createUpdateQueue({
    clock,
    // Bots remember for days which updates they know: two runs must not count over the same numbers.
    firstId: unixTime(clock),
    onDrop: (reason) => {
      counters.dropped[reason] += 1;
    },
  });
  updates.onPush(() => {
    counters.updates += 1;
  });
  return {
    token,
    user: { id, is_bot: true, first_name, username },
    readsAll: options.can_read_all_group_messages ?? false,
    updates,
    polling: createPolling(updates, clock),
    commands: createCommandMenu(),
    limits: createRateLimits(clock, rateLimits),
    counters,
    webhook: undefined,
    lastError: undefined,
    fail(message) {
      this.lastError = { date: unixTime(clock), message };
    },
  };
}

export const count = (counts: Record<string, number>, name: string | number) => {
  counts[name] = (counts[name] ?? 0) + 1;
};

function noCounts(): Counters {
  return {
    ...{ updates: 0, deliveries: 0, delivered: 0, retries: 0, duplicates: 0 },
    ...{ dropped: { too_large: 0, expired: 0 }, calls: {}, rate_limited: 0, sends: {}, faults: {} },
  };
}
