import { badRequest, forbidden } from "./api-error.ts";
import type { Bot } from "./bot.ts";
import type { Clock } from "./clock.ts";
import { Dialog } from "./dialog.ts";
import type { Chat, User } from "./types.ts";

/** As `getFile` answers; the content can't be downloaded. */
export type StoredFile = { file_id: string; file_unique_id: string; file_size: number; file_path: string };

/** A question about something that does not exist here; the message says what. */
export class ControlError extends Error {
  override readonly name = "ControlError";
}

const FIRST_USER_ID = 700_000_001;
const FIRST_GROUP_ID = -4_000_000_001;
const FIRST_SUPERGROUP_ID = -1_002_000_000_001;

/** The people, bots and chats of this Telegram. A private chat has its user's id, and is another one for every bot. */
export class World {
  readonly clock: Clock;
  readonly bots: readonly Bot[];
  /** What `getFile` knows, by `file_id`. */
  readonly files = new Map<string, StoredFile>();
  readonly #users = new Map<number, User>();
  readonly #groups = new Map<number, Dialog>();
  readonly #private = new Map<string, Dialog>();
  #lastCallbackId = 4_000_000_000_000_000n;
  #callbacks = new Map<string, Dialog>();

  constructor(bots: readonly Bot[], clock: Clock) {
    this.bots = bots;
    this.clock = clock;
  }

  /** By username, with or without the `@`; the first bot without one. Throws ControlError. */
  bot(username?: string): Bot {
    const name = username?.replace(/^@/, "").toLowerCase();
    const bot = this.bots.find(({ user }) => name === undefined || user.username.toLowerCase() === name);
    if (bot === undefined) throw new ControlError(`there is no bot called ${username}`);
    return bot;
  }

  addUser(user: Partial<User>): User {
    const id = user.id ?? FIRST_USER_ID + this.#users.size;
    if (this.#users.has(id)) throw new ControlError(`there is a user ${id} already`);
    const added = { first_name: `User ${this.#users.size + 1}`, ...user, id, is_bot: false };
    this.#users.set(id, added);
    return added;
  }

  /** Throws ControlError. */
  user(id: number): User {
    const user = this.#users.get(id);
    if (user === undefined) throw new ControlError(`there is no user ${id}`);
    return user;
  }

  addPrivate(user: User, bot: Bot): Dialog {
    const known = this.#private.get(privateKey(bot, user.id));
    if (known !== undefined) return known;
    const { id, is_bot: _isBot, language_code: _language, ...names } = user;
    const dialog = new Dialog({ id, ...names, type: "private" }, this.clock);
    dialog.members.add(id);
    dialog.bots.set(bot.user.id, "member");
    this.#private.set(privateKey(bot, id), dialog);
    return dialog;
  }

  addGroup(chat: Omit<Chat, "id">): Dialog {
    const first = chat.type === "group" ? FIRST_GROUP_ID : FIRST_SUPERGROUP_ID;
    const id = first - this.#groups.size;
    const dialog = new Dialog({ id, ...chat }, this.clock);
    this.#groups.set(id, dialog);
    return dialog;
  }

  /** The chat of that id as this bot has it. Throws ControlError. */
  dialog(chatId: number, bot: Bot): Dialog {
    const dialog = this.#find(chatId, bot);
    if (dialog === undefined) throw new ControlError(`there is no chat ${chatId} with @${bot.user.username}`);
    return dialog;
  }

  /** The chat that a method's `chat_id` names, if the bot may write there. Throws BotApiError. */
  writable(chatId: string, bot: Bot): Dialog {
    if (chatId === "") throw badRequest("chat_id is empty");
    const dialog = chatId.startsWith("@")
      ? [...this.#groups.values()].find(({ chat }) => `@${chat.username}` === chatId)
      : this.#find(Number(chatId), bot);
    const status = dialog?.bots.get(bot.user.id);
    if (dialog === undefined || status === undefined) throw badRequest("chat not found");
    if (dialog.migratedTo !== undefined) {
      throw badRequest("group chat was upgraded to a supergroup chat", {
        migrate_to_chat_id: dialog.migratedTo,
      });
    }
    const { type } = dialog.chat;
    if (status === "kicked") {
      throw forbidden(
        type === "private" ? "bot was blocked by the user" : `bot was kicked from the ${type} chat`,
      );
    }
    if (status === "left") throw forbidden(`bot is not a member of the ${type} chat`);
    return dialog;
  }

  addCallback(dialog: Dialog): string {
    this.#lastCallbackId += 1n;
    const id = String(this.#lastCallbackId);
    this.#callbacks.set(id, dialog);
    return id;
  }

  /** Where the callback was pressed; a callback can be answered once. */
  takeCallback(id: string): Dialog | undefined {
    const dialog = this.#callbacks.get(id);
    this.#callbacks.delete(id);
    return dialog;
  }

  #find(chatId: number, bot: Bot): Dialog | undefined {
    return this.#groups.get(chatId) ?? this.#private.get(privateKey(bot, chatId));
  }
}

const privateKey = (bot: Bot, userId: number) => `${bot.user.id} ${userId}`;
