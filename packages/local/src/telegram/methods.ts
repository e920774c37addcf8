import { badRequest, conflict } from "./api-error.ts";
import type { Bot } from "./bot.ts";
import type { Webhooks, WebhookTarget } from "./bot-webhook.ts";
import { messageMethods } from "./message-methods.ts";
import type { Params } from "./params.ts";
import { ownerOf, type People } from "./people.ts";
import type { World } from "./world.ts";

/** Executes one method; throws BotApiError. */
export type Method = (bot: Bot, params: Params) => unknown;

const DEFAULT_CONNECTIONS = 40;
const MAX_SECRET = 256;
const WEBHOOK_PORTS = ["", "80", "88", "443", "8443"];

export type Methods = {
  /** By a name in any case, as Telegram takes it; undefined for a method that is not served. */
  find(name: string): { name: string; execute: Method } | undefined;
};

export function createMethods(world: World, people: People, webhooks: Webhooks): Methods {
  const methods: Record<string, Method> = {
    getMe: (bot) => ({
      ...bot.user,
      can_join_groups: true,
      can_read_all_group_messages: bot.readsAll,
      supports_inline_queries: false,
      can_connect_to_business: false,
      has_main_web_app: false,
      has_topics_enabled: false,
      allows_users_to_create_topics: false,
      can_manage_bots: false,
    }),
    ...messageMethods(world),
    ...webhookMethods(webhooks),
    setMyCommands(bot, params) {
      bot.commands.set(params);
      return true;
    },
    getMyCommands: (bot, params) => bot.commands.get(params),
    deleteMyCommands(bot, params) {
      bot.commands.delete(params);
      return true;
    },
    getChat: (bot, params) => ({
      ...world.writable(params.text("chat_id"), bot).chat,
      accent_color_id: 0,
      max_reaction_count: 11,
      accepted_gift_types: {
        ...{ unlimited_gifts: false, limited_gifts: false, unique_gifts: false },
        ...{ premium_subscription: false, gifts_from_channels: false },
      },
    }),
    leaveChat(bot, params) {
      const dialog = world.writable(params.text("chat_id"), bot);
      if (dialog.chat.type === "private")
        throw badRequest("chat member status can't be changed in private chats");
      people.setBotStatus(dialog, world.user(ownerOf(dialog)), bot, "left");
      return true;
    },
    getFile(_bot, params) {
      const id = params.text("file_id");
      if (id === "") throw badRequest("file_id not specified");
      const file = world.files.get(id);
      if (file === undefined) throw badRequest("invalid file_id");
      return file;
    },
  };
  const byName = new Map(
    Object.entries(methods).map(([name, execute]) => [name.toLowerCase(), { name, execute }]),
  );
  return { find: (name) => byName.get(name.toLowerCase()) };
}

function webhookMethods(webhooks: Webhooks): Record<string, Method> {
  return {
    setWebhook(bot, params) {
      const url = params.text("url");
      if (url === "") return deleteWebhook(bot, params);
      const target = readTarget(url, params);
      if (params.boolean("drop_pending_updates")) bot.updates.clear();
      allowUpdates(bot, params);
      webhooks.set(bot, target);
      return true;
    },
    deleteWebhook,
    getWebhookInfo({ webhook, updates, lastError }) {
      const allowed = updates.allowed();
      return {
        url: webhook?.url ?? "",
        has_custom_certificate: false,
        pending_update_count: updates.pending().length,
        ...(lastError && { last_error_date: lastError.date, last_error_message: lastError.message }),
        ...(webhook && { max_connections: webhook.maxConnections, ip_address: "127.0.0.1" }),
        ...(allowed && { allowed_updates: allowed }),
      };
    },
    getUpdates(bot, params) {
      if (bot.webhook !== undefined) {
        throw conflict(
          "can't use getUpdates method while webhook is active; use deleteWebhook to delete the webhook first",
        );
      }
      allowUpdates(bot, params);
      return bot.polling.poll(params);
    },
  };

  function deleteWebhook(bot: Bot, params: Params): true {
    if (params.boolean("drop_pending_updates")) bot.updates.clear();
    webhooks.delete(bot);
    return true;
  }
}

function readTarget(url: string, params: Params): WebhookTarget {
  checkWebhookUrl(url);
  const secretToken = params.text("secret_token");
  if (secretToken.length > MAX_SECRET) throw badRequest("secret token is too long");
  if (!/^[\w-]*$/.test(secretToken)) throw badRequest("secret token contains unallowed characters");
  const limits = { absent: DEFAULT_CONNECTIONS, min: 1, max: 100 };
  return { url, secretToken, maxConnections: params.integer("max_connections", limits) };
}

/** As Telegram does, except that on this machine any port will do, and http. */
function checkWebhookUrl(text: string): void {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !["http:", "https:"].includes(url.protocol)) {
    throw badRequest("invalid webhook URL specified");
  }
  if (/^(?:localhost|127(?:\.\d+){3}|\[::1\])$/.test(url.hostname)) return;
  if (url.protocol === "http:") {
    throw badRequest("bad webhook: An HTTPS URL must be provided for webhook");
  }
  if (!WEBHOOK_PORTS.includes(url.port)) {
    throw badRequest("bad webhook: Webhook can be set up only on ports 80, 88, 443 or 8443");
  }
}

/** A call that says nothing about it, or nothing that makes sense, leaves it as it is. */
function allowUpdates(bot: Bot, params: Params): void {
  try {
    const kinds: unknown = JSON.parse(params.text("allowed_updates"));
    if (Array.isArray(kinds) && kinds.every((kind) => typeof kind === "string")) bot.updates.allow(kinds);
  } catch {
    // Telegram ignores what does not parse.
  }
}
