import type { Bot } from "./bot.ts";
import { createChance } from "./chance.ts";
import type { Clock } from "./clock.ts";
import type { Params } from "./params.ts";
import type { QueuedUpdate } from "./update-queue.ts";
import { startWebhook } from "./webhook.ts";

/** A share of the delivered updates that is delivered once more. Decided by `seed`, the chat and the update's turn. */
export type Duplicates = { probability: number; after_seconds: number; seed?: number };

export type WebhookTarget = { url: string; secretToken: string; maxConnections: number };

const REMEMBERED = 10_000;

/** The webhooks of all bots, and deliveries beyond the first. */
export type Webhooks = {
  set(bot: Bot, target: WebhookTarget): void;
  /** What was under way is broken off and stays pending. */
  delete(bot: Bot): void;
  duplicate(policy: Duplicates | undefined): void;
  /** Delivers a delivered update again after that many simulated seconds. False when it is not known. */
  redeliver(bot: Bot, updateId: number, afterSeconds: number): boolean;
  /** Whether nothing is pending, under way or scheduled. */
  idle(bot: Bot): boolean;
  close(): void;
};

export function createWebhooks(
  clock: Clock,
  execute: (bot: Bot, method: string, params: Params) => void,
): Webhooks {
  const bots = new Set<Bot>();
  const delivered = new Map<string, string>();
  const scheduled = new Set<() => void>();
  let repeating = 0;
  let policy: Duplicates | undefined;
  let chance = createChance(1);

  const keyOf = (bot: Bot, updateId: number) => `${bot.user.id} ${updateId}`;

  function remember(bot: Bot, { id, lane, body }: QueuedUpdate): void {
    delivered.set(keyOf(bot, id), body);
    const oldest = delivered.size > REMEMBERED ? delivered.keys().next().value : undefined;
    if (oldest !== undefined) delivered.delete(oldest);
    if (policy !== undefined && chance(`${bot.user.id} ${lane}`) < policy.probability) {
      repeat(bot, body, policy.after_seconds);
    }
  }

  function repeat(bot: Bot, body: string, seconds: number): void {
    const cancel = clock.after(seconds, () => {
      scheduled.delete(cancel);
      if (bot.webhook === undefined) return;
      bot.counters.deliveries += 1;
      bot.counters.duplicates += 1;
      repeating += 1;
      void bot.webhook.redeliver(body).finally(() => {
        repeating -= 1;
      });
    });
    scheduled.add(cancel);
  }

  function remove(bot: Bot): void {
    bot.webhook?.close();
    bot.webhook = undefined;
    bot.lastError = undefined;
  }

  return {
    set(bot, target) {
      remove(bot);
      bots.add(bot);
      bot.polling.interrupt();
      bot.webhook = startWebhook({
        ...target,
        queue: bot.updates,
        clock,
        execute: (method, params) => execute(bot, method, params),
        onAttempt({ update, attempt, error }) {
          bot.counters.deliveries += 1;
          if (attempt > 1) bot.counters.retries += 1;
          if (error !== undefined) return bot.fail(error);
          bot.counters.delivered += 1;
          remember(bot, update);
        },
      });
    },
    delete: remove,
    duplicate(next) {
      policy = next;
      chance = createChance(next?.seed ?? 1);
    },
    redeliver(bot, updateId, afterSeconds) {
      const body = delivered.get(keyOf(bot, updateId));
      if (body !== undefined) repeat(bot, body, afterSeconds);
      return body !== undefined;
    },
    idle(bot) {
      const waiting = bot.updates.pending().length + (bot.webhook?.inFlight() ?? 0);
      return waiting === 0 && scheduled.size === 0 && repeating === 0;
    },
    close() {
      for (const cancel of scheduled) cancel();
      for (const bot of bots) bot.webhook?.close();
    },
  };
}
