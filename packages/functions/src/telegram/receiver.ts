import { systemClock as clock } from "@parley/core/clock";
import type { TelegramSettings } from "@parley/core/config";
import type { Bot } from "@parley/core/telegram/bots";
import type { Place } from "@parley/core/telegram/update";
import { config } from "../config.ts";
import { telemetry } from "../observability.ts";
import { once } from "../once.ts";
import { UpdateQueue } from "./queue.ts";

export type Receiver = {
  settings: TelegramSettings;
  queue: Pick<UpdateQueue, "send">;
  /** False when it could not be remembered. */
  stop: (bot: Bot, place: Place, updateId: number) => Promise<boolean>;
};

const chats = once(async () => {
  const [{ FastRedis }, { ChatState }] = await Promise.all([
    import("@parley/core/redis/client"),
    import("@parley/core/telegram/chat-state"),
  ]);
  const redis = new FastRedis({ ...config.redis, clock, telemetry });
  return (bot: Bot) => new ChatState({ redis, bot: bot.name });
});

/** What the webhook is made of: the queue, and Redis only where somebody says `/stop`. Built at the first update. */
export const receiver = once(
  (): Receiver => ({
    settings: config.telegram,
    queue: new UpdateQueue(config.telegramQueueUrl),
    stop: async (bot, place, updateId) => (await chats())(bot).stop(place, updateId),
  }),
);
