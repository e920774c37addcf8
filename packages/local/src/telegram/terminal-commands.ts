import type { BotApiControl } from "./control.ts";
import type { Media } from "./media.ts";
import type { Message } from "./types.ts";
import { ControlError } from "./world.ts";

/** Where the person at the terminal is, and what the last messages were. */
export type Place = {
  bot: string;
  user: number;
  chat: number;
  thread: number | undefined;
  /** The newest event that has been shown. */
  seen: number;
  lastOwn: number | undefined;
  lastFromBot: Message | undefined;
};

/** `said`: something the bot may answer. */
export type Outcome = { kind: "said" } | { kind: "told"; text: string } | { kind: "leave" };

export const HELP = `  whatever you type is sent to the bot, /commands too
  :edit text            change your last message
  :reply text           answer the bot's last message
  :location 41.4,2.2    send a place
  :photo :voice :sticker :file
  :press 1              press a button under the bot's last message
  :group [title]        go to a new group with the bot; there it listens to @mentions, replies and commands
  :topic name           in a new group with topics
  :private              back to the private chat
  :help                 this
  :quit                 leave (so do Ctrl-D and Ctrl-C)
`;

const MEDIA: Readonly<Record<string, Media>> = {
  photo: { photo: true },
  voice: { voice: true },
  sticker: { sticker: true },
  file: { document: true },
};

const told = (text: string): Outcome => ({ kind: "told", text });
const SAID: Outcome = { kind: "said" };

/** Does what a line asks for. Rejects with ControlError when it can't be done. */
export async function runLine(line: string, control: BotApiControl, place: Place): Promise<Outcome> {
  const [, command, rest = ""] = /^:(\w+)\s*(.*)$/s.exec(line.trim()) ?? [];
  const say = async (content: Media & { text?: string; reply_to?: number }) => {
    const { message_id } = await control.send({ ...inChat(place), from: place.user, ...content });
    place.lastOwn = message_id;
    return SAID;
  };
  if (command === undefined) return say({ text: line });
  const media = MEDIA[command];
  if (media !== undefined) return say(media);
  switch (command) {
    case "edit":
      if (place.lastOwn === undefined) throw new ControlError("there is nothing of yours to edit yet");
      await control.edit({ chat: place.chat, bot: place.bot, message_id: place.lastOwn, text: rest });
      return SAID;
    case "reply":
      if (place.lastFromBot === undefined) throw new ControlError("there is nothing to reply to yet");
      return say({ text: rest, reply_to: place.lastFromBot.message_id });
    case "location":
      return say({ location: locationOf(rest) });
    case "press":
      return press(Number(rest || 1), control, place);
    case "group":
    case "topic":
      return enterGroup(command, rest, control, place);
    case "private":
      await enter(place, control, place.user);
      return told("Back in the private chat.");
    case "help":
      return told(HELP.trimEnd());
    case "quit":
      return { kind: "leave" };
    default:
      throw new ControlError(`there is no :${command}; :help lists what there is`);
  }
}

const inChat = ({ chat, bot, thread }: Place) => ({
  chat,
  bot,
  ...(thread === undefined ? {} : { message_thread_id: thread }),
});

function locationOf(text: string) {
  const [latitude = Number.NaN, longitude = Number.NaN, ...rest] = text.split(/[\s,]+/).map(Number);
  if (Number.isNaN(latitude + longitude) || rest.length > 0) {
    throw new ControlError("a location looks like 41.4,2.2");
  }
  return { latitude, longitude };
}

async function press(number: number, control: BotApiControl, place: Place): Promise<Outcome> {
  const message = place.lastFromBot;
  const button = message?.reply_markup?.inline_keyboard.flat()[number - 1];
  if (message === undefined || button?.callback_data === undefined) {
    throw new ControlError(`the bot's last message has no button ${number} to press`);
  }
  const { chat, bot, user: from } = place;
  await control.press({ chat, bot, from, message_id: message.message_id, data: button.callback_data });
  return SAID;
}

async function enterGroup(
  command: "group" | "topic",
  name: string,
  control: BotApiControl,
  place: Place,
): Promise<Outcome> {
  const { bot, user } = place;
  const isForum = command === "topic";
  const group = await control.createGroup({
    title: isForum || name === "" ? "Group" : name,
    is_forum: isForum,
    members: [user],
    bots: [bot],
  });
  await enter(place, control, group.id);
  if (!isForum) return told(`In the group "${group.title}" with @${bot}; :private goes back.`);
  const topic = await control.createTopic({ chat: group.id, bot, from: user, name: name || "Topic" });
  place.thread = topic.message_thread_id;
  return told(`In the topic "${name || "Topic"}" of a group with @${bot}; :private goes back.`);
}

async function enter(place: Place, control: BotApiControl, chat: number): Promise<void> {
  const { next } = await control.events({ chat, bot: place.bot });
  Object.assign(place, { chat, thread: undefined, seen: next, lastOwn: undefined, lastFromBot: undefined });
}
