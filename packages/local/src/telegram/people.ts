import type { Bot } from "./bot.ts";
import { unixTime } from "./clock.ts";
import type { BotStatus, Dialog } from "./dialog.ts";
import { withDetected } from "./entities.ts";
import { type Media, mediaContent } from "./media.ts";
import type { Message, MessageContent, MessageEntity, User } from "./types.ts";
import { ControlError, type World } from "./world.ts";

/** What a person sends: a text, or one thing of `Media` with an optional caption. */
export type Sending = Media & {
  text?: string;
  /** By default what Telegram finds in the text: commands, mentions, links... */
  entities?: MessageEntity[];
  caption?: string;
  message_thread_id?: number;
  /** The id of the message that this is a reply to. */
  reply_to?: number;
};

/** As many characters as Telegram's clients let a person send at once. */
const MAX_TEXT = 4096;
/** Telegram forgets a pressed button that nobody has asked for sooner than a message. */
const CALLBACK_SECONDS = 150;

/** What people do in chats, and the updates that the bots get of it. */
export class People {
  readonly #world: World;

  constructor(world: World) {
    this.#world = world;
  }

  send(dialog: Dialog, from: User, sending: Sending): Message {
    const content = sending.text === undefined ? this.#media(sending) : textContent(sending.text, sending);
    return this.#say(dialog, from, { ...content, ...contextOf(dialog, sending) });
  }

  edit(dialog: Dialog, messageId: number, text: string): Message {
    const message = messageOf(dialog, messageId);
    if (message.from.is_bot) throw new ControlError(`message ${messageId} is the bot's`);
    if (message.text === undefined) throw new ControlError(`message ${messageId} has no text`);
    const { entities: _entities, ...rest } = message;
    const edited = { ...rest, ...textContent(text, {}), edit_date: unixTime(this.#world.clock) };
    dialog.replace(edited);
    this.#announce(dialog, "edited_message", edited);
    return edited;
  }

  /** Returns the id of the callback query. */
  press(dialog: Dialog, from: User, messageId: number, data: string): string {
    const message = messageOf(dialog, messageId);
    const buttons = message.reply_markup?.inline_keyboard.flat() ?? [];
    if (!buttons.some((button) => button.callback_data === data)) {
      throw new ControlError(`message ${messageId} has no button with that data`);
    }
    const bot = this.#world.bots.find(({ user }) => user.id === message.from.id);
    const id = this.#world.addCallback(dialog);
    bot?.updates.offer(
      "callback_query",
      { id, from, message, chat_instance: String(-dialog.chat.id), data },
      { lane: `callback ${from.id}`, lifetimeSeconds: CALLBACK_SECONDS },
    );
    return id;
  }

  join(dialog: Dialog, user: User): void {
    dialog.members.add(user.id);
    this.#say(dialog, user, { new_chat_members: [user] });
  }

  leave(dialog: Dialog, user: User): void {
    dialog.members.delete(user.id);
    this.#say(dialog, user, { left_chat_member: user });
  }

  createTopic(dialog: Dialog, from: User, name: string): number {
    if (dialog.chat.is_forum !== true) throw new ControlError(`chat ${dialog.chat.id} is no forum`);
    const thread = dialog.nextMessageId;
    dialog.topics.set(thread, name);
    const topic = { message_thread_id: thread, is_topic_message: true as const };
    this.#say(dialog, from, { ...topic, forum_topic_created: { name, icon_color: 7_322_096 } });
    return thread;
  }

  /** Adds a bot to a group, removes it, blocks it in a private chat or unblocks it there. */
  setBotStatus(dialog: Dialog, from: User, bot: Bot, status: BotStatus): void {
    const before = dialog.bots.get(bot.user.id) ?? "left";
    if (before === status) return;
    const isGroup = dialog.chat.type !== "private";
    dialog.bots.set(bot.user.id, status);
    const member = (of: BotStatus) => ({ user: bot.user, status: of });
    bot.updates.offer(
      "my_chat_member",
      {
        ...{ chat: dialog.chat, from, date: unixTime(this.#world.clock) },
        ...{ old_chat_member: member(before), new_chat_member: member(status) },
      },
      { lane: `my_chat_member ${dialog.chat.id}` },
    );
    const isIn = (of: BotStatus) => of === "member" || of === "administrator";
    if (isGroup && isIn(status) && !isIn(before)) this.#say(dialog, from, { new_chat_members: [bot.user] });
    if (isGroup && !isIn(status) && isIn(before)) this.#say(dialog, from, { left_chat_member: bot.user });
  }

  /** Makes a supergroup of a group; the group's id is dead from then on. */
  migrate(dialog: Dialog, from: User): Dialog {
    if (dialog.chat.type !== "group") throw new ControlError(`chat ${dialog.chat.id} is no basic group`);
    if (dialog.migratedTo !== undefined) throw new ControlError(`chat ${dialog.chat.id} has been migrated`);
    const { id, ...group } = dialog.chat;
    const successor = this.#world.addGroup({ ...group, type: "supergroup" });
    for (const member of dialog.members) successor.members.add(member);
    for (const [bot, status] of dialog.bots) successor.bots.set(bot, status);
    this.#say(dialog, from, { migrate_to_chat_id: successor.chat.id });
    dialog.migratedTo = successor.chat.id;
    this.#say(successor, from, { migrate_from_chat_id: id });
    return successor;
  }

  #media(sending: Sending): MessageContent {
    const media = mediaContent(sending, this.#world);
    if (media === undefined) throw new ControlError("there is neither a text nor anything else to send");
    if (sending.caption === undefined) return media;
    const { text, entities } = withDetected({ text: sending.caption, entities: [] });
    return { ...media, caption: text, ...(entities.length === 0 ? {} : { caption_entities: entities }) };
  }

  #say(dialog: Dialog, from: User, content: MessageContent): Message {
    if (dialog.migratedTo !== undefined) {
      throw new ControlError(`chat ${dialog.chat.id} is now ${dialog.migratedTo}`);
    }
    const message = dialog.say(from, content);
    this.#announce(dialog, "message", message);
    return message;
  }

  #announce(dialog: Dialog, kind: "message" | "edited_message", message: Message): void {
    for (const bot of this.#world.bots) {
      if (sees(bot, dialog, message)) {
        bot.updates.offer(kind, message, { lane: `chat ${dialog.chat.id}` });
      }
    }
  }
}

function messageOf(dialog: Dialog, id: number): Message {
  const message = dialog.message(id);
  if (message === undefined) throw new ControlError(`chat ${dialog.chat.id} has no message ${id}`);
  return message;
}

function textContent(text: string, { entities = [] }: Pick<Sending, "entities">): MessageContent {
  const length = [...text].length;
  if (length < 1 || length > MAX_TEXT) {
    throw new ControlError(`a person's text has 1 to ${MAX_TEXT} characters, not ${length}`);
  }
  const detected = withDetected({ text, entities });
  return { text, ...(detected.entities.length === 0 ? {} : { entities: detected.entities }) };
}

/** Where in the chat a message belongs and what it answers. */
export function contextOf(
  dialog: Dialog,
  { message_thread_id: topic, reply_to }: Pick<Sending, "message_thread_id" | "reply_to">,
): Partial<Message> {
  const target = reply_to === undefined ? undefined : messageOf(dialog, reply_to);
  const reply = target === undefined ? {} : { reply_to_message: quotable(target) };
  if (dialog.chat.is_forum === true) {
    const thread = topic ?? target?.message_thread_id;
    if (thread === undefined) return reply;
    if (!dialog.topics.has(thread)) throw new ControlError(`chat ${dialog.chat.id} has no topic ${thread}`);
    // In a topic, what answers nothing answers the message that opened the topic.
    const root = dialog.message(thread);
    const implicit = root === undefined ? {} : { reply_to_message: quotable(root) };
    return { ...implicit, ...reply, message_thread_id: thread, is_topic_message: true };
  }
  // In a supergroup without topics replies carry the id of the message that began the chain.
  if (dialog.chat.type !== "supergroup" || target === undefined) return reply;
  return { ...reply, message_thread_id: target.message_thread_id ?? target.message_id };
}

/** A message within another does not say what it answers itself. */
function quotable({ reply_to_message: _reply, ...message }: Message): Message {
  return message;
}

const SERVICE = [
  ...(["new_chat_members", "left_chat_member", "forum_topic_created"] as const),
  ...(["migrate_to_chat_id", "migrate_from_chat_id"] as const),
];

/** Privacy mode: in groups a bot gets service messages and what is meant for it, unless it may read all. */
function sees(bot: Bot, dialog: Dialog, message: Message): boolean {
  const status = dialog.bots.get(bot.user.id);
  const removed = message.left_chat_member?.id === bot.user.id;
  if (status !== "member" && status !== "administrator" && !removed) return false;
  if (dialog.chat.type === "private" || bot.readsAll || status === "administrator") return true;
  if (SERVICE.some((field) => message[field] !== undefined)) return true;
  if (message.reply_to_message?.from.id === bot.user.id) return true;
  const text = message.text ?? message.caption ?? "";
  const name = `@${bot.user.username.toLowerCase()}`;
  return (message.entities ?? message.caption_entities ?? []).some(({ type, offset, length, user }) => {
    const covered = text.slice(offset, offset + length).toLowerCase();
    if (type === "bot_command") return !covered.includes("@") || covered.endsWith(name);
    return (type === "mention" && covered === name) || user?.["id"] === bot.user.id;
  });
}

export const ownerOf = (dialog: Dialog): number => [...dialog.members][0] ?? 0;
