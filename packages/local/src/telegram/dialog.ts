import { type Clock, unixTime } from "./clock.ts";
import type { Chat, Message, MessageContent, User } from "./types.ts";

/** How a bot stands in a chat. In a private chat `kicked` means that the user has blocked it. */
export type BotStatus = "member" | "administrator" | "left" | "kicked";

/** What is visible in a chat, in order. `at` and `until` are milliseconds of Unix time on the server's clock. */
export type ChatEvent = { seq: number; at: number } & ChatEventContent;

type ChatEventContent =
  | { type: "message" | "edit"; message: Message }
  | { type: "delete"; message_id: number }
  | { type: "action"; action: string; from: number; until: number; message_thread_id?: number }
  | {
      type: "callback_answer";
      callback_query_id: string;
      text?: string;
      show_alert?: boolean;
      url?: string;
    };

export type VisibleAction = { action: string; message_thread_id?: number };

/** Telegram's clients show an action for this long unless a message or another action ends it. */
const ACTION_SECONDS = 5;

/** One chat as its bots and people see it: who is in it, what was said and done. */
export class Dialog {
  readonly chat: Chat;
  /** The people; the first is the owner. */
  readonly members = new Set<number>();
  /** By the bot's id. */
  readonly bots = new Map<number, BotStatus>();
  /** Names of forum topics by `message_thread_id`. */
  readonly topics = new Map<number, string>();
  /** The supergroup that this group has become. */
  migratedTo: number | undefined;
  readonly #clock: Clock;
  readonly #messages = new Map<number, Message>();
  readonly #events: ChatEvent[] = [];
  readonly #watchers = new Set<() => void>();
  #actions: (VisibleAction & { from: number; until: number })[] = [];
  #lastMessageId = 0;

  constructor(chat: Chat, clock: Clock) {
    this.chat = chat;
    this.#clock = clock;
  }

  message(id: number): Message | undefined {
    return this.#messages.get(id);
  }

  /** As they are now, in order. */
  messages(): Message[] {
    return [...this.#messages.values()];
  }

  say(from: User, content: MessageContent): Message {
    this.#lastMessageId += 1;
    const date = unixTime(this.#clock);
    const message = { message_id: this.#lastMessageId, from, chat: this.chat, date, ...content };
    this.#messages.set(message.message_id, message);
    this.#endActions(from.id, content.message_thread_id);
    this.#record({ type: "message", message });
    return message;
  }

  /** The next message's id. */
  get nextMessageId(): number {
    return this.#lastMessageId + 1;
  }

  replace(message: Message): void {
    this.#messages.set(message.message_id, message);
    this.#record({ type: "edit", message });
  }

  remove(messageId: number): void {
    this.#messages.delete(messageId);
    this.#record({ type: "delete", message_id: messageId });
  }

  act(from: User, action: string, thread: number | undefined): void {
    this.#endActions(from.id, thread);
    const where = thread === undefined ? {} : { message_thread_id: thread };
    const seconds = action === "cancel" ? 0 : ACTION_SECONDS;
    this.#actions.push({ action, from: from.id, until: this.#clock.elapsed() + seconds, ...where });
    const at = this.#clock.now().getTime();
    this.#record({ type: "action", action, from: from.id, until: at + seconds * 1000, ...where }, at);
  }

  answerCallback(answer: Omit<ChatEventContent & { type: "callback_answer" }, "type">): void {
    this.#record({ type: "callback_answer", ...answer });
  }

  /** What the members see the bot doing right now. */
  visibleActions(): VisibleAction[] {
    const now = this.#clock.elapsed();
    return this.#actions
      .filter(({ until }) => until > now)
      .map(({ from: _from, until: _until, ...action }) => action);
  }

  /** The number of the newest event, 0 before the first. */
  get seq(): number {
    return this.#events.length;
  }

  events(after: number): ChatEvent[] {
    return this.#events.slice(Math.max(0, after));
  }

  /** Resolves at the next event, with false when none came in time. */
  async changed(timeoutMs: number): Promise<boolean> {
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const watcher = () => resolve(true);
    this.#watchers.add(watcher);
    const timer = setTimeout(() => resolve(false), timeoutMs);
    try {
      return await promise;
    } finally {
      clearTimeout(timer);
      this.#watchers.delete(watcher);
    }
  }

  #endActions(from: number, thread: number | undefined): void {
    this.#actions = this.#actions.filter(
      (action) => action.from !== from || action.message_thread_id !== thread,
    );
  }

  #record(content: ChatEventContent, at = this.#clock.now().getTime()): void {
    this.#events.push({ seq: this.#events.length + 1, at, ...content });
    for (const watcher of this.#watchers) watcher();
  }
}
