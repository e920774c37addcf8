import { systemClock as clock } from "@parley/core/clock";
import { TelegramClient } from "@parley/core/telegram/api";
import { ChatState } from "@parley/core/telegram/chat-state";
import { TelegramWorker } from "@parley/core/telegram/worker";
import { container } from "../answering.ts";
import { telemetry } from "../observability.ts";

const workers = new Map<string, Promise<TelegramWorker>>();

/** The worker of a bot, made once an instance. @throws when the bot is not configured any more */
export function workerFor(name: string): Promise<TelegramWorker> {
  const worker = workers.get(name) ?? build(name);
  workers.set(name, worker);
  // What could not be made may be there at the next update.
  worker.catch(() => workers.delete(name));
  return worker;
}

async function build(name: string): Promise<TelegramWorker> {
  const { config, conversations, dependencies } = container();
  const { bots, apiRoot } = config.telegramBots;
  const bot = bots.find((one) => one.name === name);
  if (!bot) throw new Error(`the bot ${name} is not in TELEGRAM_BOTS`);
  const [outbox, tombstones] = await Promise.all([dependencies.outbox(), dependencies.tombstones()]);
  return new TelegramWorker({
    bot,
    api: new TelegramClient(bot, apiRoot),
    conversations,
    outbox,
    tombstones,
    chats: new ChatState({ redis: dependencies.redis, bot: name }),
    clock,
    telemetry,
  });
}
