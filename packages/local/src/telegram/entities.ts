import { badRequest } from "./api-error.ts";
import { cleanText, type FormattedText, isBlank } from "./clean-text.ts";
import { detectEntities } from "./detect-entities.ts";
import { checkLink, LinkError } from "./links.ts";
import { canCoexist, nestingFault, sortEntities } from "./nesting.ts";
import type { Params } from "./params.ts";
import type { MessageEntity } from "./types.ts";

/** In UTF-16 units, after cleaning. */
const MAX_TEXT = 4096;
const MAX_TEXT_BYTES = 2 ** 15;
const MAX_ENTITIES = 100;

const PLAIN_TYPES = new Set([
  ...["bold", "italic", "underline", "strikethrough", "spoiler"],
  ...["code", "blockquote", "expandable_blockquote"],
]);
/** Telegram finds these itself and takes no one's word for them. */
const DETECTED_TYPES = new Set([
  ...["mention", "hashtag", "cashtag", "bot_command", "url", "email", "phone_number", "bank_card_number"],
]);

/**
 * The text of a message as Telegram would store it, from `text` and `entities`. Throws the BotApiError of the first
 * fault. Refused in Telegram's words: entities that are malformed, of an unknown type, outside the text or in the
 * middle of a surrogate pair, a bad link, a text that is empty or too long. Refused here although Telegram silently
 * drops or mends them, since the author would never know: empty entities, more than 100, forbidden nesting.
 */
export function readText(params: Params): FormattedText {
  const text = params.text("text");
  if (text === "") throw badRequest("message text is empty");
  if (Buffer.byteLength(text) > MAX_TEXT_BYTES) throw badRequest("Text is too long");
  refuseParseMode(params);
  const formatted = checkText(text, readEntities(params));
  if (formatted.text.length > MAX_TEXT) throw badRequest("message is too long");
  return formatted;
}

function refuseParseMode(params: Params): void {
  const mode = params.text("parse_mode").toLowerCase();
  if (mode !== "" && mode !== "none") {
    throw badRequest("Unsupported parse_mode: the local Bot API takes entities, not markup");
  }
}

/** As Telegram does with an array that does not parse: there are none. */
function readEntities(params: Params): unknown[] {
  try {
    const value: unknown = JSON.parse(params.text("entities") || "[]");
    return Array.isArray(value) ? value : [];
  } catch {
    return [];
  }
}

export function checkText(text: string, input: readonly unknown[]): FormattedText {
  const entities = input.map(readEntity).filter((entity) => entity !== undefined);
  if (!text.isWellFormed()) throw badRequest("Strings must be encoded in UTF-8");
  if (entities.length > MAX_ENTITIES) throw badRequest("ENTITIES_TOO_LONG");
  for (const entity of sortEntities(entities)) checkPosition(text, entity);
  const fault = nestingFault(entities);
  if (fault !== undefined) throw badRequest(`can't parse entities: ${fault}`);
  const formatted = cleanText({ text, entities });
  if (isBlank(formatted.text)) throw badRequest("text must be non-empty");
  return withDetected(formatted);
}

/** Adds what Telegram finds in any text: links, mentions, commands... */
export function withDetected({ text, entities }: FormattedText): FormattedText {
  const detected = detectEntities(text).filter((found) => entities.every((each) => canCoexist(each, found)));
  return { text, entities: sortEntities([...entities, ...detected]) };
}

function readEntity(value: unknown): MessageEntity | undefined {
  const refuse = (reason: string) => badRequest(`Can't parse MessageEntity: ${reason}`);
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw refuse("expected an Object");
  }
  const fields = value as Record<string, unknown>;
  for (const name of ["offset", "length", "type"]) {
    if (fields[name] === undefined) throw refuse(`Can't find field "${name}"`);
  }
  const { type, offset, length } = fields;
  for (const [name, field] of Object.entries({ offset, length })) {
    if (!Number.isInteger(field)) throw refuse(`Field "${name}" must be an integer Number`);
  }
  if (typeof type !== "string") throw refuse(`Field "type" must be of type String`);
  const place = { offset: Number(offset), length: Number(length) };
  if (PLAIN_TYPES.has(type)) return { type, ...place };
  if (DETECTED_TYPES.has(type)) return undefined;
  return { type, ...place, ...readArgument(type, fields, refuse) };
}

function readArgument(
  type: string,
  fields: Record<string, unknown>,
  refuse: (reason: string) => Error,
): Partial<MessageEntity> {
  switch (type) {
    case "pre": {
      const { language = "" } = fields;
      if (typeof language !== "string") throw refuse(`Field "language" must be of type String`);
      if (!language.isWellFormed())
        throw badRequest("MessageEntityPreCode.language must be encoded in UTF-8");
      return language === "" ? {} : { language };
    }
    case "text_link":
      return { url: readLink(fields["url"], refuse) };
    case "text_mention": {
      const { user } = fields;
      if (typeof user !== "object" || user === null) throw refuse(`Can't find field "user"`);
      return { user: user as Record<string, unknown> };
    }
    case "custom_emoji":
      if (!/^[1-9]\d*$/.test(String(fields["custom_emoji_id"])))
        throw refuse(`Can't find field "custom_emoji_id"`);
      return { custom_emoji_id: String(fields["custom_emoji_id"]) };
    case "date_time": {
      const { unix_time: time, date_time_format: format = "" } = fields;
      if (!Number.isInteger(time)) throw refuse(`Can't find field "unix_time"`);
      if (!/^(?:[rR]|[tTdDwW]*)$/.test(String(format))) throw refuse("Invalid date-time format specified");
      return { unix_time: Number(time), date_time_format: String(format) };
    }
    default:
      throw refuse("Unsupported type specified");
  }
}

function readLink(url: unknown, refuse: (reason: string) => Error): string {
  if (typeof url !== "string") throw refuse(`Can't find field "url"`);
  if (!url.isWellFormed()) throw badRequest("MessageEntityTextUrl.url must be encoded in UTF-8");
  try {
    return checkLink(url);
  } catch (error) {
    if (error instanceof LinkError) throw badRequest(`Entity URL '${url}' is invalid: ${error.message}`);
    throw error;
  }
}

function checkPosition(text: string, { offset, length }: MessageEntity): void {
  if (offset < 0) throw badRequest(`Receive an entity with incorrect offset ${offset}`);
  if (length <= 0) throw badRequest(`Receive an entity with incorrect length ${length}`);
  const bytesBefore = (index: number) => Buffer.byteLength(text.slice(0, index));
  if (offset > text.length) {
    throw badRequest(`Entity begins after the end of the text at UTF-16 offset ${offset}`);
  }
  if (splitsPair(text, offset)) {
    const at = bytesBefore(offset + 1);
    throw badRequest(`Entity begins in a middle of a UTF-16 symbol at byte offset ${at}`);
  }
  const end = offset + length;
  if (end > text.length) {
    throw badRequest(
      `Entity beginning at UTF-16 offset ${offset} ends after the end of the text at UTF-16 offset ${end}`,
    );
  }
  if (splitsPair(text, end)) {
    const at = bytesBefore(end + 1);
    throw badRequest(
      `Entity beginning at UTF-16 offset ${offset} ends in a middle of a UTF-16 symbol at byte offset ${at}`,
    );
  }
}

/** Whether a cut before this unit parts a surrogate pair. */
const splitsPair = (text: string, index: number) => {
  const unit = text.charCodeAt(index);
  return index > 0 && unit >= 0xdc00 && unit <= 0xdfff;
};
