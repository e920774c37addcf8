/** The objects of the Bot API, as far as this server makes them; what else an object holds it was given. */

export type User = {
  id: number;
  is_bot: boolean;
  first_name: string;
  last_name?: string;
  username?: string;
  language_code?: string;
};

export type Chat = {
  id: number;
  type: "private" | "group" | "supergroup";
  title?: string;
  username?: string;
  first_name?: string;
  last_name?: string;
  is_forum?: true;
};

/** `offset` and `length` count UTF-16 units. */
export type MessageEntity = {
  type: string;
  offset: number;
  length: number;
  url?: string;
  language?: string;
  user?: Record<string, unknown>;
  custom_emoji_id?: string;
  unix_time?: number;
  date_time_format?: string;
};

export type InlineKeyboardButton = { text: string; callback_data?: string; url?: string } & Record<
  string,
  unknown
>;

export type InlineKeyboard = { inline_keyboard: InlineKeyboardButton[][] };

export type Message = {
  message_id: number;
  from: User;
  chat: Chat;
  /** Unix time in seconds. */
  date: number;
  edit_date?: number;
  message_thread_id?: number;
  is_topic_message?: true;
  reply_to_message?: Message;
  quote?: { text: string; position: number; is_manual?: true };
  text?: string;
  entities?: MessageEntity[];
  caption?: string;
  caption_entities?: MessageEntity[];
  reply_markup?: InlineKeyboard;
  location?: { latitude: number; longitude: number };
  photo?: Record<string, unknown>[];
  voice?: Record<string, unknown>;
  sticker?: Record<string, unknown>;
  document?: Record<string, unknown>;
  new_chat_members?: User[];
  left_chat_member?: User;
  forum_topic_created?: { name: string; icon_color: number };
  migrate_to_chat_id?: number;
  migrate_from_chat_id?: number;
};

/** What a message is made of, before it has an id, a sender and a date. */
export type MessageContent = Omit<Message, "message_id" | "from" | "chat" | "date">;

export type BotCommand = { command: string; description: string };

/** `update_id` and one field named after the update's kind. */
export type Update = { update_id: number } & Record<string, unknown>;
