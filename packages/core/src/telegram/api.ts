import { Api, type ApiClientOptions, GrammyError, HttpError } from "grammy/web";
import type { Bot } from "./bots.ts";
import type { RenderedPart } from "./render/index.ts";
import type { Place } from "./update.ts";

const TIMEOUT_SECONDS = 15;

export type Message = { place: Place; part: RenderedPart; replyTo?: number | undefined };

/**
 * How a send ended. `uncertain`: the message may or may not have arrived (Telegram knows no idempotency key), so it is
 * never sent again. All the others are definite.
 */
export type SendOutcome =
  | { outcome: "sent"; messageId: number }
  | { outcome: "uncertain"; reason: string }
  /** 429, or Telegram was not even reached: not sent; may be sent after this many seconds. */
  | { outcome: "later"; retryAfterS: number }
  /** 403: the user blocked the bot, or it was removed from the chat. */
  | { outcome: "forbidden" }
  /** 400: Telegram could not parse the entities. */
  | { outcome: "unparseable" }
  /** 400: the group has become a supergroup. */
  | { outcome: "migrated"; to: number }
  /** Any other 4xx: this message will never be accepted. */
  | { outcome: "refused"; reason: string };

export type TelegramApi = Pick<TelegramClient, "send" | "typing">;

/** The Bot API of one bot, by grammY's client; nothing is retried in here. */
export class TelegramClient {
  readonly raw: Api;

  /** @param apiRoot Telegram's own, or another server that speaks the Bot API */
  constructor(bot: Pick<Bot, "token">, apiRoot: string) {
    this.raw = new Api(bot.token, {
      apiRoot,
      timeoutSeconds: TIMEOUT_SECONDS,
      fetch: overItsOwnConnection as unknown as NonNullable<ApiClientOptions["fetch"]>,
    });
  }

  async send({ place, part, replyTo }: Message, signal: AbortSignal): Promise<SendOutcome> {
    try {
      const { message_id } = await this.raw.sendMessage(
        place.chat,
        part.text,
        {
          entities: part.entities,
          ...(place.thread === undefined ? {} : { message_thread_id: place.thread }),
          ...(replyTo === undefined
            ? {}
            : { reply_parameters: { message_id: replyTo, allow_sending_without_reply: true } }),
          link_preview_options: { is_disabled: true },
        },
        asGrammySignal(signal),
      );
      return { outcome: "sent", messageId: message_id };
    } catch (error) {
      return outcomeOf(error);
    }
  }

  /** Shows "typing..." for five seconds. A failure is of no consequence: the answer itself will meet it. */
  async typing({ chat, thread }: Place, signal: AbortSignal): Promise<void> {
    await this.raw
      .sendChatAction(
        chat,
        "typing",
        thread === undefined ? {} : { message_thread_id: thread },
        asGrammySignal(signal),
      )
      .catch(() => undefined);
  }
}

/**
 * A connection from before Lambda froze the process may be dead without anybody knowing; a message sent over it would
 * be uncertain, and never sent again.
 */
const overItsOwnConnection = (url: string, init: RequestInit & { headers?: Record<string, string> }) =>
  fetch(url, { ...init, headers: { ...init.headers, connection: "close" } });

// grammY's types name the AbortSignal of a polyfill; in its web build the platform's own goes to fetch untouched.
const asGrammySignal = (signal: AbortSignal) => signal as unknown as Parameters<Api["getMe"]>[0];

const RECONNECT_AFTER_S = 1;

function outcomeOf(error: unknown): SendOutcome {
  if (error instanceof HttpError) {
    if (isUnconnected(error.error)) return { outcome: "later", retryAfterS: RECONNECT_AFTER_S };
    return { outcome: "uncertain", reason: codeOf(error.error) };
  }
  if (!(error instanceof GrammyError)) throw error;
  const { error_code: code, description, parameters } = error;
  // JSON, but a gateway's and not Telegram's: it does not say what became of the message.
  if (typeof code !== "number") return { outcome: "uncertain", reason: "not of the Bot API" };
  if (code === 429) return { outcome: "later", retryAfterS: parameters.retry_after ?? 1 };
  if (code >= 500) return { outcome: "uncertain", reason: String(code) };
  if (parameters.migrate_to_chat_id !== undefined)
    return { outcome: "migrated", to: parameters.migrate_to_chat_id };
  if (code === 403) return { outcome: "forbidden" };
  if (code === 400 && /can't parse|entit/i.test(description)) return { outcome: "unparseable" };
  return { outcome: "refused", reason: `${code} ${description}` };
}

const UNRESOLVED = new Set(["ENOTFOUND", "EAI_AGAIN", "UND_ERR_CONNECT_TIMEOUT"]);

/** Whether the connection was never made: no byte of the message has left. */
function isUnconnected(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  // Of a name with several addresses, each has failed.
  if (error instanceof AggregateError) return error.errors.length > 0 && error.errors.every(isUnconnected);
  if ("syscall" in error && error.syscall === "connect") return true;
  return ("code" in error && UNRESOLVED.has(String(error.code))) || isUnconnected(error.cause);
}

/** The system's code of a failed fetch, which wraps it. */
function codeOf(error: unknown): string {
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    if ("code" in cause && typeof cause.code === "string") return cause.code;
  }
  return error instanceof Error ? error.name : "network";
}
