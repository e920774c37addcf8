import * as z from "../schema.ts";
import type { AllowList, Bot } from "./bots.ts";

/** What is read of an update before it is queued; whatever else it holds goes along untouched. */
const user = z.looseObject({ id: z.int() });
const entity = z.looseObject({
  type: z.string(),
  offset: z.int(),
  length: z.int(),
  user: z.optional(user),
});
const message = z.looseObject({
  message_id: z.int(),
  date: z.optional(z.int()),
  chat: z.looseObject({ id: z.int(), type: z.string() }),
  from: z.optional(user),
  message_thread_id: z.optional(z.int()),
  is_topic_message: z.optional(z.boolean()),
  text: z.optional(z.string()),
  caption: z.optional(z.string()),
  entities: z.optional(z.array(entity)),
  caption_entities: z.optional(z.array(entity)),
  reply_to_message: z.optional(z.looseObject({ from: z.optional(user) })),
  migrate_to_chat_id: z.optional(z.int()),
});
const updateSchema = z.looseObject({
  update_id: z.int(),
  message: z.optional(message),
  edited_message: z.optional(message),
  callback_query: z.optional(z.looseObject({ id: z.string(), from: user, message: z.optional(message) })),
});

export type IncomingUpdate = z.infer<typeof updateSchema>;
type IncomingMessage = z.infer<typeof message>;

/** Undefined for what is no update of Telegram's at all. */
export const parseUpdate = (value: unknown): IncomingUpdate | undefined => updateSchema.safeParse(value).data;

/** Where a message belongs: a chat, and in a forum its topic. Each is a conversation, and a queue, of its own. */
export type Place = { chat: number; thread: number | undefined };

type Placed = {
  chat: { id: number };
  is_topic_message?: boolean | undefined;
  message_thread_id?: number | undefined;
};
export const placeOf = ({ chat, is_topic_message, message_thread_id }: Placed): Place => ({
  chat: chat.id,
  thread: is_topic_message ? message_thread_id : undefined,
});

/** `-100123` or, in a topic, `-100123:7`. */
export const placeKey = ({ chat, thread }: Place) =>
  thread === undefined ? String(chat) : `${chat}:${thread}`;

/** What the receiver does with an update. All but `queue` end there. */
export type Triage =
  | { action: "ignore"; reason: "kind" | "not-allowed" | "not-addressed" | "from-bot" }
  | { action: "queue"; place: Place; typing: boolean }
  | { action: "stop"; place: Place }
  | { action: "callback"; id: string; place: Place | undefined };

export function triage(update: IncomingUpdate, bot: Bot, allowed: AllowList): Triage {
  const { callback_query: callback } = update;
  const subject = update.message ?? update.edited_message ?? callback?.message;
  const from = callback?.from ?? subject?.from;
  if (!subject && !callback) return { action: "ignore", reason: "kind" };
  // The group was upgraded: its conversation moves along, whoever did it and whoever was addressed.
  if (update.message?.migrate_to_chat_id !== undefined) {
    return { action: "queue", place: placeOf(update.message), typing: false };
  }
  if (!isAllowed(from?.id, subject?.chat.id, allowed)) return { action: "ignore", reason: "not-allowed" };
  if (callback) return { action: "callback", id: callback.id, place: subject && placeOf(subject) };
  if (!subject) return { action: "ignore", reason: "kind" };
  // Who writes as a chat (an anonymous administrator, a channel) has a bot of Telegram's in `from`.
  if (from?.["is_bot"] === true && subject["sender_chat"] === undefined) {
    return { action: "ignore", reason: "from-bot" };
  }
  // An edit without a text is a caption, or a live location on its way.
  if (!hasContent(subject) || (!update.message && subject.text === undefined)) {
    return { action: "ignore", reason: "kind" };
  }
  if (!isAddressed(subject, bot)) return { action: "ignore", reason: "not-addressed" };
  if (commandOf(subject, bot) === "stop") return { action: "stop", place: placeOf(subject) };
  return { action: "queue", place: placeOf(subject), typing: update.message !== undefined };
}

function isAllowed(
  userId: number | undefined,
  chatId: number | undefined,
  { users, chats }: AllowList,
): boolean {
  if (users.size === 0 && chats.size === 0) return true;
  return (userId !== undefined && users.has(userId)) || (chatId !== undefined && chats.has(chatId));
}

/** Kinds that get an answer, if only that the bot cannot read them. Service messages (joined, pinned...) do not. */
const CONTENT = [
  "text",
  "location",
  "venue",
  "photo",
  "voice",
  "video",
  "video_note",
  "audio",
  "document",
  "sticker",
  "animation",
  "contact",
  "poll",
  "dice",
] as const;

const hasContent = (message: IncomingMessage) => CONTENT.some((kind) => message[kind] !== undefined);

/** In a private chat everything; in a group a command of ours, a mention, or a reply to the bot. */
function isAddressed(message: IncomingMessage, bot: Bot): boolean {
  if (message.chat.type === "private") return true;
  if (message.reply_to_message?.from?.id === bot.id) return true;
  if (commandOf(message, bot) !== undefined) return true;
  const text = message.text ?? message.caption ?? "";
  return (message.entities ?? message.caption_entities ?? []).some(
    ({ type, offset, length, user }) =>
      user?.id === bot.id ||
      (type === "mention" &&
        text.slice(offset, offset + length).toLowerCase() === `@${bot.name.toLowerCase()}`),
  );
}

/** The command that a message begins with, without its slash, when it is meant for this bot. */
function commandOf({ text = "", entities = [] }: IncomingMessage, bot: Bot): string | undefined {
  const first = entities.find(({ type, offset }) => type === "bot_command" && offset === 0);
  if (!first) return undefined;
  const [command = "", addressee] = text.slice(1, first.length).toLowerCase().split("@");
  return addressee === undefined || addressee === bot.name.toLowerCase() ? command : undefined;
}
