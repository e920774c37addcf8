import { randomBytes } from "node:crypto";
import { Config } from "@parley/core/config";
import { TelegramClient } from "@parley/core/telegram/api";
import type { Bot } from "@parley/core/telegram/bots";
import { commands } from "@parley/core/telegram/texts";
import { GrammyError, HttpError } from "grammy/web";
import { commonOptions, dataDirOf, exitWith, parse, settingsFileOf, UsageError } from "../command-line.ts";
import { loadSettings } from "../env.ts";

const HELP = `Telegram bots of Parley: npm run telegram -- <command>

  set-webhook <url>    Telegram delivers to <url>/telegram/<bot>; <url> is the API's public https address.
                       Sets the commands too. --drop-pending forgets what has been waiting meanwhile
  info                 where Telegram delivers to, what waits, and the last error
  delete-webhook       Telegram delivers nowhere and keeps updates for 24 hours. --drop-pending forgets them
  set-commands         the commands that Telegram's clients offer
  secret               makes a TELEGRAM_WEBHOOK_SECRET
  chat                 a terminal that talks to the local bot as a user would see it: that of a running
                       npm run dev, or of a stack of its own

      --bot <name>       one bot of TELEGRAM_BOTS; all of them without it
      --settings <file>  instead of .env, whose settings the environment overrides
      --data <folder>    instead of .local, for chat
  -h, --help

Settings: TELEGRAM_BOTS, TELEGRAM_WEBHOOK_SECRET, TELEGRAM_API_ROOT; .env.example explains them.
Exit codes: 0 done, 1 not done, 2 wrong usage.
`;

/** What the receiver reads; Telegram does not send the rest. */
const ALLOWED_UPDATES = ["message", "edited_message", "callback_query"] as const;

const OPTIONS = {
  ...commonOptions,
  bot: { type: "string" },
  "drop-pending": { type: "boolean", default: false },
} as const;

/** `address` and `secret` are there for set-webhook. */
type Options = { address: string; secret: string; dropPending: boolean };
type Command = (bot: Bot, client: TelegramClient["raw"], options: Options) => Promise<string>;

const COMMANDS: Readonly<Record<string, Command>> = {
  async "set-webhook"(bot, api, { address, dropPending, secret }) {
    const url = `${address}/telegram/${bot.name}`;
    await api.setWebhook(url, {
      secret_token: secret,
      allowed_updates: [...ALLOWED_UPDATES],
      drop_pending_updates: dropPending,
    });
    await api.setMyCommands([...commands]);
    return `Telegram delivers to ${url}`;
  },
  async info(_bot, api) {
    const info = await api.getWebhookInfo();
    const lines = [info.url ? `Telegram delivers to ${info.url}` : "no webhook is set"];
    lines.push(`  waiting: ${info.pending_update_count}`);
    if (info.last_error_message) {
      const at = new Date((info.last_error_date ?? 0) * 1000).toISOString();
      lines.push(`  last error: ${info.last_error_message} (${at})`);
    }
    return lines.join("\n");
  },
  async "delete-webhook"(_bot, api, { dropPending }) {
    await api.deleteWebhook({ drop_pending_updates: dropPending });
    return "Telegram delivers nowhere";
  },
  async "set-commands"(_bot, api) {
    await api.setMyCommands([...commands]);
    return commands.map(({ command }) => `/${command}`).join(" ");
  },
};

async function main(argv: string[]): Promise<number> {
  const { values, positionals } = parse(argv, OPTIONS);
  const [name, ...rest] = positionals;
  if (values.help) {
    process.stdout.write(HELP);
    return 0;
  }
  if (name === undefined) throw new UsageError("a command is missing");
  const command = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
  if (!command && name !== "secret" && name !== "chat") throw new UsageError(`there is no command ${name}`);
  const setsWebhook = name === "set-webhook";
  const address = setsWebhook ? addressOf(rest.shift()) : "";
  if (rest.length > 0) throw new UsageError(`this is too much: ${rest.join(" ")}`);
  if (name === "secret") {
    process.stdout.write(`${randomBytes(32).toString("hex")}\n`);
    return 0;
  }
  const settings = await loadSettings(settingsFileOf(values), process.env);
  if (!command) {
    // The whole local stack: nothing that the other commands should wait for.
    const { localChat } = await import("./local-chat.ts");
    return localChat({ settings, dataDir: dataDirOf(values) });
  }
  const config = new Config(settings);
  const secret = setsWebhook ? (config.telegramSecrets[0] ?? "") : "";
  return forEachBot(config, values.bot, (bot, api) =>
    command(bot, api, { address, secret, dropPending: values["drop-pending"] }),
  );
}

/** One bot's failure is told and keeps nobody else from what is to be done. Returns the exit code. */
async function forEachBot(
  { telegramBots: { bots, apiRoot } }: Config,
  only: string | undefined,
  run: (bot: Bot, api: TelegramClient["raw"]) => Promise<string>,
): Promise<number> {
  const wanted = only?.replace(/^@/, "").toLowerCase();
  const chosen = bots.filter((bot) => wanted === undefined || bot.name.toLowerCase() === wanted);
  if (chosen.length === 0) throw new Error(`TELEGRAM_BOTS has no bot called ${only}`);
  let code = 0;
  for (const bot of chosen) {
    const { raw } = new TelegramClient(bot, apiRoot);
    try {
      await checkName(raw, bot);
      process.stdout.write(`@${bot.name}: ${await run(bot, raw)}\n`);
    } catch (error) {
      process.stderr.write(`telegram: @${bot.name}: ${describe(error)}\n`);
      code = 1;
    }
  }
  return code;
}

/** The API's, as webhooks begin with it. */
function addressOf(text: string | undefined): string {
  if (text === undefined) throw new UsageError("set-webhook needs the API's address");
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const isLocal = url && ["127.0.0.1", "localhost", "[::1]"].includes(url.hostname);
  if (!url || (url.protocol !== "https:" && !(isLocal && url.protocol === "http:"))) {
    throw new UsageError(`${text} is no address for a webhook: Telegram wants https`);
  }
  return `${url.origin}${url.pathname.replace(/\/+$/, "")}`;
}

/** Mentions are found by the bot's username, so a wrong one would leave it deaf in groups. */
async function checkName(api: TelegramClient["raw"], bot: Bot): Promise<void> {
  const { username } = await api.getMe();
  if (username.toLowerCase() === bot.name.toLowerCase()) return;
  throw new Error(`TELEGRAM_BOTS calls the bot ${bot.name}, but its token is that of ${username}`);
}

/** One line that says what to do, and never a token, which is part of every address of the Bot API. */
function describe(error: unknown): string {
  if (error instanceof GrammyError && typeof error.description === "string") {
    return error.error_code === 401 || error.error_code === 404
      ? `Telegram does not know the token in TELEGRAM_BOTS (${error.description})`
      : `Telegram says: ${error.description}`;
  }
  if (error instanceof HttpError || error instanceof GrammyError) {
    return "Telegram cannot be reached (TELEGRAM_API_ROOT, or the network)";
  }
  return error instanceof Error ? error.message : String(error);
}

await exitWith("telegram", () => main(process.argv.slice(3)), {
  describe,
  hint: "npm run telegram -- --help lists the commands",
});
