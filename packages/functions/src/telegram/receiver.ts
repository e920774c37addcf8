import type { TelegramSettings } from "@parley/core/config";
import type { Bot } from "@parley/core/telegram/bots";
import type { Place } from "@parley/core/telegram/update";
import { config } from "../config.ts";
import { once } from "../once.ts";
import { UpdateQueue } from "./queue.ts";

export type Receiver = {
  settings: TelegramSettings;
  queue: Pick<UpdateQueue, "send">;
  /** False when it could not be remembered. */
  stop: (bot: Bot, place: Place, updateId: number) => Promise<boolean>;
};

/** What the webhook is made of: the queue, and Redis only where somebody says `/stop`. Built at the first update. */
export const receiver = once(
  (): Receiver => ({
    settings: config.telegram,
    queue: new UpdateQueue(config.telegramQueueUrl),
    async stop(bot, place, updateId) {
      const [{ container }, { ChatState }] = await Promise.all([
        import("../container.ts"),
        import("@parley/core/telegram/chat-state"),
      ]);
      const chats = new ChatState({ redis: container().dependencies.redis, bot: bot.name });
      return chats.stop(place, updateId);
    },
  }),
);
