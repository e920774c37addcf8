import { badRequest, tooManyRequests } from "./api-error.ts";
import { type Bot, count } from "./bot.ts";
import { unixTime } from "./clock.ts";
import type { Dialog } from "./dialog.ts";
import { readText } from "./entities.ts";
import type { Params } from "./params.ts";
import { contextOf } from "./people.ts";
import { readReplyMarkup } from "./reply-markup.ts";
import type { Message, MessageContent } from "./types.ts";
import type { World } from "./world.ts";

const ACTIONS = new Set([
  ...["cancel", "typing", "upload_photo", "record_video", "upload_video", "record_audio", "record_voice"],
  ...["upload_audio", "upload_voice", "upload_document", "choose_sticker", "pick_up_location"],
  ...["find_location", "record_video_note", "upload_video_note"],
]);
const GENERAL_TOPIC = 1;
const MAX_CALLBACK_TEXT = 200;

/** The methods by which a bot shows something in a chat. */
export function messageMethods(world: World) {
  return {
    sendMessage(bot: Bot, params: Params): Message {
      const content = readContent(params);
      const reply = readReply(params);
      const dialog = world.writable(params.text("chat_id"), bot);
      const context = contextOf(dialog, {
        ...readThread(params, dialog),
        ...checkReply(dialog, reply),
      });
      const quote = checkQuote(context.reply_to_message, reply.quote);
      const wait = bot.limits.take(dialog.chat);
      if (wait > 0) {
        bot.counters.rate_limited += 1;
        throw tooManyRequests(wait);
      }
      count(bot.counters.sends, dialog.chat.id);
      return dialog.say(bot.user, { ...context, ...quote, ...content });
    },

    sendChatAction(bot: Bot, params: Params): true {
      const action = params.text("action").toLowerCase();
      if (!ACTIONS.has(action)) throw badRequest("Wrong parameter action in request");
      const dialog = world.writable(params.text("chat_id"), bot);
      dialog.act(bot.user, action, readThread(params, dialog).message_thread_id);
      return true;
    },

    editMessageText(bot: Bot, params: Params): Message {
      const content = readContent(params);
      if (params.text("chat_id") === "") throw badRequest("Message identifier is not specified");
      const dialog = world.writable(params.text("chat_id"), bot);
      const message = dialog.message(params.integer("message_id"));
      if (message === undefined) throw badRequest("message to edit not found");
      if (message.from.id !== bot.user.id) throw badRequest("message can't be edited");
      const { text: _text, entities: _entities, reply_markup: _markup, ...rest } = message;
      if (sameContent(message, content)) {
        throw badRequest(
          "message is not modified: specified new message content and reply markup are exactly the same as a current content and reply markup of the message",
        );
      }
      const edited: Message = { ...rest, ...content, edit_date: unixTime(world.clock) };
      dialog.replace(edited);
      return edited;
    },

    deleteMessage(bot: Bot, params: Params): true {
      if (params.text("chat_id") === "") throw badRequest("Chat identifier is not specified");
      const id = params.integer("message_id");
      if (id <= 0) throw badRequest("Message identifier is not specified");
      const dialog = world.writable(params.text("chat_id"), bot);
      const message = dialog.message(id);
      if (message === undefined) throw badRequest("message to delete not found");
      const isOwn = message.from.id === bot.user.id;
      const mayDeleteAll = dialog.chat.type === "private" || dialog.bots.get(bot.user.id) === "administrator";
      if (!isOwn && !mayDeleteAll) throw badRequest("message can't be deleted");
      dialog.remove(id);
      return true;
    },

    answerCallbackQuery(_bot: Bot, params: Params): true {
      const id = params.text("callback_query_id");
      const [text, url] = [params.text("text"), params.text("url")];
      if (text.length > MAX_CALLBACK_TEXT) throw badRequest("MESSAGE_TOO_LONG");
      const dialog = world.takeCallback(id);
      if (dialog === undefined) {
        throw badRequest("query is too old and response timeout expired or query ID is invalid");
      }
      dialog.answerCallback({
        callback_query_id: id,
        ...(text === "" ? {} : { text, show_alert: params.boolean("show_alert") }),
        ...(url === "" ? {} : { url }),
      });
      return true;
    },
  };
}

function readContent(params: Params): MessageContent {
  const { text, entities } = readText(params);
  const markup = readReplyMarkup(params);
  return {
    text,
    ...(entities.length === 0 ? {} : { entities }),
    ...(markup === undefined ? {} : { reply_markup: markup }),
  };
}

const sameContent = (message: Message, { text, entities, reply_markup }: MessageContent) =>
  JSON.stringify([message.text, message.entities, message.reply_markup]) ===
  JSON.stringify([text, entities, reply_markup]);

type Reply = { messageId: number; isOptional: boolean; quote: string };

function readReply(params: Params): Reply {
  const value = params.json("reply_parameters", "reply parameters");
  if (value === undefined) {
    const isOptional = params.boolean("allow_sending_without_reply");
    return { messageId: params.integer("reply_to_message_id"), isOptional, quote: "" };
  }
  if (typeof value !== "object" || value === null) throw badRequest("Object expected as reply parameters");
  const { message_id, allow_sending_without_reply = false, quote = "" } = value as Record<string, unknown>;
  if (Object.keys(value).length === 0) return { messageId: 0, isOptional: false, quote: "" };
  if (message_id === undefined) throw badRequest(`Can't find field "message_id"`);
  const messageId = Number(message_id);
  if (!Number.isInteger(messageId)) throw badRequest(`Field "message_id" must be a valid Number`);
  return { messageId, isOptional: allow_sending_without_reply === true, quote: String(quote) };
}

function checkReply(dialog: Dialog, { messageId, isOptional }: Reply): { reply_to?: number } {
  if (messageId <= 0) return {};
  if (dialog.message(messageId) !== undefined) return { reply_to: messageId };
  if (isOptional) return {};
  throw badRequest("message to be replied not found");
}

function checkQuote(target: Message | undefined, quote: string): Pick<Message, "quote"> {
  if (quote === "" || target === undefined) return {};
  const position = (target.text ?? target.caption ?? "").indexOf(quote);
  if (position < 0) throw badRequest("QUOTE_TEXT_INVALID");
  return { quote: { text: quote, position, is_manual: true } };
}

/** The topic that is named; outside of forums a thread in a group is ignored, and there is none in private. */
function readThread(params: Params, { chat, topics }: Dialog): { message_thread_id?: number } {
  const thread = params.integer("message_thread_id", { min: 0 });
  if (thread === 0 || (chat.type !== "private" && chat.is_forum !== true)) return {};
  if (thread === GENERAL_TOPIC || !topics.has(thread)) throw badRequest("message thread not found");
  return { message_thread_id: thread };
}
