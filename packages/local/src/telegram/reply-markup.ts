import { badRequest } from "./api-error.ts";
import { checkLink, LinkError } from "./links.ts";
import type { Params } from "./params.ts";
import type { InlineKeyboard, InlineKeyboardButton } from "./types.ts";

const MAX_BUTTONS = 100;
const MAX_DATA_BYTES = 64;
/** What a button can do besides; taken as it is. */
const OTHER_ACTIONS = [
  ...["callback_game", "pay", "switch_inline_query", "switch_inline_query_chosen_chat"],
  ...["switch_inline_query_current_chat", "login_url", "web_app", "copy_text"],
];

type Json = Record<string, unknown>;

/**
 * The inline keyboard of a message, checked; undefined when there is none. Reply keyboards, their removal and forced
 * replies are accepted but leave no trace, as they leave none in Telegram's messages.
 */
export function readReplyMarkup(params: Params): InlineKeyboard | undefined {
  const markup = params.json("reply_markup", "reply keyboard markup");
  if (markup === undefined) return undefined;
  if (!isObject(markup)) throw badRequest("Object expected as reply markup");
  const rows = markup["inline_keyboard"];
  if (rows === undefined) return undefined;
  if (!Array.isArray(rows)) throw badRequest(`Field "inline_keyboard" must be of type Array`);
  const keyboard = rows.map(readRow).filter((row) => row.length > 0);
  if (keyboard.flat().length > MAX_BUTTONS) throw badRequest("REPLY_MARKUP_TOO_LONG");
  return keyboard.length === 0 ? undefined : { inline_keyboard: keyboard };
}

function readRow(row: unknown): InlineKeyboardButton[] {
  if (!Array.isArray(row)) {
    throw badRequest(`Field "inline_keyboard" of the InlineKeyboardMarkup must be an Array of Arrays`);
  }
  return row.map(readButton);
}

function readButton(button: unknown): InlineKeyboardButton {
  const refuse = (reason: string) => badRequest(`Can't parse inline keyboard button: ${reason}`);
  if (!isObject(button)) throw refuse("InlineKeyboardButton must be an Object");
  const { text, url, callback_data: data } = button;
  if (typeof text !== "string") throw refuse(`Can't find field "text"`);
  if (text.trim() === "") throw badRequest("BUTTON_TEXT_INVALID");
  if (typeof url === "string" && url !== "") return { ...button, text, url: readUrl(url) };
  if (typeof data === "string" && data !== "") {
    if (Buffer.byteLength(data) > MAX_DATA_BYTES) throw badRequest("BUTTON_DATA_INVALID");
    return { ...button, text, callback_data: data };
  }
  if (OTHER_ACTIONS.some((action) => button[action] !== undefined)) return { ...button, text };
  throw refuse("Text buttons are unallowed in the inline keyboard");
}

function readUrl(url: string): string {
  try {
    return checkLink(url);
  } catch (error) {
    if (!(error instanceof LinkError)) throw error;
    throw badRequest(`Inline keyboard button URL '${url}' is invalid: ${error.message}`);
  }
}

const isObject = (value: unknown): value is Json =>
  typeof value === "object" && value !== null && !Array.isArray(value);
