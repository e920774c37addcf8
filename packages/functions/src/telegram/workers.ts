import { systemClock as clock } from "@parley/core/clock";
import { TelegramClient } from "@parley/core/telegram/api";
import { ChatState } from "@parley/core/telegram/chat-state";
import { TelegramWorker } from "@parley/core/telegram/worker";
import { container } from "../answering.ts";
import { telemetry } from "../observability.ts";

const workers = new Map<string, TelegramWorker>();

/** The worker of a bot, made once an instance. @throws when the bot is not configured any more */
export function workerFor(name: string): TelegramWorker {
  const known = workers.get(name);
  if (known) return known;
  const { config, conversations, dependencies } = container();
  const { bots, apiRoot } = config.telegramBots;
  const bot = bots.find((one) => one.name === name);
  if (!bot) throw new Error(`the bot ${name} is not in TELEGRAM_BOTS`);
  const worker = new TelegramWorker({
    bot,
    api: new TelegramClient(bot, apiRoot),
    conversations,
    outbox: dependencies.outbox,
    chats: new ChatState({ redis: dependencies.redis, bot: name }),
    clock,
    telemetry,
  });
  workers.set(name, worker);
  return worker;
}
