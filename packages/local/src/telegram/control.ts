import type { Counters } from "./bot.ts";
import type { Duplicates, Webhooks } from "./bot-webhook.ts";
import type { ChatEvent, Dialog, VisibleAction } from "./dialog.ts";
import type { Fault, Faults } from "./faults.ts";
import { ownerOf, type People, type Sending } from "./people.ts";
import type { BotCommand, Chat, Message, User } from "./types.ts";
import { ControlError, type World } from "./world.ts";

/** A chat: in a private one the user's id. `bot` is a username and the first bot by default. */
type InChat = { chat: number; bot?: string };
/** By default the user of a private chat, the owner of a group. */
type As = { from?: number };

export type NewGroup = {
  title?: string;
  /** `supergroup` by default. */
  type?: "group" | "supergroup";
  is_forum?: boolean;
  username?: string;
  /** Ids of users, the first of whom is the owner; a new user by default. */
  members?: number[];
  /** Usernames; all bots by default. */
  bots?: string[];
  /** Whether the bots are administrators. */
  administrators?: boolean;
};

export type Transcript = {
  chat: Chat;
  /** As they are now, from both sides. */
  messages: Message[];
  /** All that became visible, in order: messages, edits, deletions, chat actions, answers to callbacks. */
  events: ChatEvent[];
  /** What the bot is seen doing right now. */
  actions: VisibleAction[];
};

export type Events = {
  events: ChatEvent[] /** For `after` of the next call. */;
  next: number;
  actions: VisibleAction[];
};

/** What people and Telegram do. Over HTTP each is `POST /_control/{name}` with its argument as the JSON body. */
export type BotApiControl = {
  bots(): Promise<User[]>;
  createUser(user?: Partial<User>): Promise<User>;
  /** As if the user had opened the bot and pressed Start, but for the message. */
  createPrivateChat(options: { user: number; bot?: string }): Promise<Chat>;
  createGroup(options?: NewGroup): Promise<Chat>;
  /** In a forum. Resolves with the topic's id. */
  createTopic(options: InChat & As & { name: string }): Promise<{ message_thread_id: number }>;
  send(options: InChat & As & Sending): Promise<Message>;
  /** Edits the text of a person's message. */
  edit(options: InChat & { message_id: number; text: string }): Promise<Message>;
  /** Presses the button with that data under a bot's message. */
  press(options: InChat & As & { message_id: number; data: string }): Promise<{ callback_query_id: string }>;
  join(options: InChat & { user: number }): Promise<void>;
  leave(options: InChat & { user: number }): Promise<void>;
  /** Blocks the bot in a private chat, removes it from a group. */
  block(options: InChat): Promise<void>;
  unblock(options: InChat): Promise<void>;
  /** Makes a supergroup of a basic group. Resolves with the new chat. */
  migrate(options: InChat): Promise<Chat>;
  /**
   * Puts an update in the queue as it is, whatever kinds the bot allows; `update_id` is set when it has none, and
   * otherwise the following updates count on from it. Resolves without an id when it was too large.
   */
  inject(options: { update: Record<string, unknown>; bot?: string }): Promise<{ update_id?: number }>;
  /** Delivers a delivered update once more, after that many simulated seconds. */
  redeliver(options: { update_id: number; after_seconds?: number; bot?: string }): Promise<void>;
  /** From now on a share of the delivered updates is delivered again; without an argument none is. */
  duplicate(policy?: Duplicates): Promise<void>;
  transcript(options: InChat): Promise<Transcript>;
  /** What is new since `after`, waiting up to `timeout_ms` real milliseconds for something to be. */
  events(options: InChat & { after?: number; timeout_ms?: number }): Promise<Events>;
  /** The first message of a bot after the event number `after` (by default after now); fails after `timeout_ms`. */
  waitForMessage(
    options: InChat & { after?: number; message_thread_id?: number; timeout_ms?: number },
  ): Promise<{ message: Message; seq: number }>;
  /** Until all updates have been delivered; fails after `timeout_ms`. */
  settled(options?: { timeout_ms?: number; bot?: string }): Promise<void>;
  /** The commands that the user's client offers in that chat. */
  commands(options: InChat & { user: number }): Promise<BotCommand[]>;
  counters(options?: { bot?: string }): Promise<Counters>;
  addFault(fault: Fault): Promise<{ id: number }>;
  removeFault(options: { id: number }): Promise<void>;
  faults(): Promise<(Fault & { id: number; struck: number })[]>;
  clearFaults(): Promise<void>;
  setRateLimits(options: { enabled: boolean; bot?: string }): Promise<void>;
};

const WAIT_MS = 10_000;
const IDLE_CHECK_MS = 10;

export type ControlParts = { world: World; people: People; faults: Faults; webhooks: Webhooks };

export function createControl(parts: ControlParts): BotApiControl {
  return { ...chatControl(parts), ...observation(parts), ...deliveryControl(parts) };
}

const dialogOf = (world: World, { chat, bot }: InChat): Dialog => world.dialog(chat, world.bot(bot));
const personIn = (world: World, dialog: Dialog, { from = ownerOf(dialog) }: As): User => world.user(from);

function chatControl({ world, people }: ControlParts) {
  return {
    bots: async () => world.bots.map(({ user }) => user),
    createUser: async (user = {}) => world.addUser(user),
    createPrivateChat: async ({ user, bot }) => world.addPrivate(world.user(user), world.bot(bot)).chat,
    createGroup: async (options = {}) => createGroup(world, people, options),
    async createTopic(options) {
      const dialog = dialogOf(world, options);
      const thread = people.createTopic(dialog, personIn(world, dialog, options), options.name);
      return { message_thread_id: thread };
    },
    async send(options) {
      const dialog = dialogOf(world, options);
      return people.send(dialog, personIn(world, dialog, options), options);
    },
    edit: async (options) => people.edit(dialogOf(world, options), options.message_id, options.text),
    async press(options) {
      const dialog = dialogOf(world, options);
      const from = personIn(world, dialog, options);
      return { callback_query_id: people.press(dialog, from, options.message_id, options.data) };
    },
    join: async (options) => people.join(dialogOf(world, options), world.user(options.user)),
    leave: async (options) => people.leave(dialogOf(world, options), world.user(options.user)),
    block: async (options) => setBlocked(options, true),
    unblock: async (options) => setBlocked(options, false),
    async migrate(options) {
      const dialog = dialogOf(world, options);
      return people.migrate(dialog, personIn(world, dialog, {})).chat;
    },
  } satisfies Partial<BotApiControl>;

  function setBlocked(options: InChat, blocked: boolean): void {
    const dialog = dialogOf(world, options);
    const status = blocked ? "kicked" : "member";
    people.setBotStatus(dialog, personIn(world, dialog, {}), world.bot(options.bot), status);
  }
}

function createGroup(world: World, people: People, options: NewGroup): Chat {
  const { title = "Group", type = "supergroup", is_forum: isForum = false, username } = options;
  if (isForum && type !== "supergroup") throw new ControlError("only a supergroup can be a forum");
  const members = (options.members ?? [world.addUser({}).id]).map((id) => world.user(id));
  const bots = options.bots?.map((name) => world.bot(name)) ?? world.bots;
  const dialog = world.addGroup({
    ...{ title, type },
    ...(username === undefined ? {} : { username }),
    ...(isForum ? { is_forum: true } : {}),
  });
  for (const { id } of members) dialog.members.add(id);
  const status = options.administrators === true ? "administrator" : "member";
  for (const bot of bots) people.setBotStatus(dialog, world.user(ownerOf(dialog)), bot, status);
  return dialog.chat;
}

function observation({ world }: ControlParts) {
  return {
    async transcript(options) {
      const dialog = dialogOf(world, options);
      const [messages, events, actions] = [dialog.messages(), dialog.events(0), dialog.visibleActions()];
      return { chat: dialog.chat, messages, events, actions };
    },
    async events(options) {
      const dialog = dialogOf(world, options);
      const { after = dialog.seq, timeout_ms: timeoutMs = 0 } = options;
      if (dialog.seq <= after && timeoutMs > 0) await dialog.changed(timeoutMs);
      return { events: dialog.events(after), next: dialog.seq, actions: dialog.visibleActions() };
    },
    async waitForMessage(options) {
      const { timeout_ms: timeoutMs = WAIT_MS, message_thread_id: thread } = options;
      const dialog = dialogOf(world, options);
      const deadline = performance.now() + timeoutMs;
      const after = options.after ?? dialog.seq;
      for (;;) {
        const found = botMessage(dialog.events(after), thread);
        if (found !== undefined) return found;
        if (!(await dialog.changed(deadline - performance.now()))) {
          throw new ControlError(`no message came within ${timeoutMs} ms`);
        }
      }
    },
    commands: async (options) =>
      world.bot(options.bot).commands.offered(dialogOf(world, options).chat, world.user(options.user)),
    counters: async (options = {}) => structuredClone(world.bot(options.bot).counters),
  } satisfies Partial<BotApiControl>;
}

function botMessage(events: ChatEvent[], thread: number | undefined) {
  for (const event of events) {
    if (event.type !== "message" || !event.message.from.is_bot) continue;
    if (thread === undefined || event.message.message_thread_id === thread) {
      return { message: event.message, seq: event.seq };
    }
  }
  return undefined;
}

function deliveryControl({ world, faults, webhooks }: ControlParts) {
  return {
    async inject({ update, bot }) {
      const { update_id: id, ...fields } = update;
      const options = { lane: laneOf(fields), ...(typeof id === "number" ? { id } : {}) };
      const queued = world.bot(bot).updates.push(fields, options);
      return queued === undefined ? {} : { update_id: queued.id };
    },
    async redeliver({ update_id: id, after_seconds: seconds = 0, bot }) {
      if (!webhooks.redeliver(world.bot(bot), id, seconds)) {
        throw new ControlError(`no update ${id} has been delivered`);
      }
    },
    duplicate: async (policy) => webhooks.duplicate(policy?.probability === undefined ? undefined : policy),
    settled: async ({ timeout_ms: timeoutMs = WAIT_MS, bot } = {}) =>
      settle(() => webhooks.idle(world.bot(bot)), timeoutMs),
    addFault: async (fault) => ({ id: faults.add(fault) }),
    removeFault: async ({ id }) => faults.remove(id),
    faults: async () => faults.list(),
    clearFaults: async () => faults.clear(),
    async setRateLimits({ enabled, bot }) {
      world.bot(bot).limits.enabled = enabled;
    },
  } satisfies Partial<BotApiControl>;
}

async function settle(isIdle: () => boolean, timeoutMs: number): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  while (!isIdle()) {
    if (performance.now() > deadline) throw new ControlError(`updates still wait after ${timeoutMs} ms`);
    await new Promise((resolve) => setTimeout(resolve, IDLE_CHECK_MS));
  }
}

/** The queue that Telegram would put it in: the chat's, or the user's for what is in no chat. */
function laneOf(fields: Record<string, unknown>): string {
  const subject = Object.values(fields).find((value) => typeof value === "object" && value !== null);
  const { chat, from } = (subject ?? {}) as { chat?: { id?: unknown }; from?: { id?: unknown } };
  if ("callback_query" in fields) return `callback ${from?.id}`;
  if (chat?.id !== undefined) return `chat ${chat.id}`;
  return `other ${from?.id}`;
}
