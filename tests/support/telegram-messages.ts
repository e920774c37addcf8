import { type IncomingUpdate, parseUpdate } from "@parley/core/telegram/update";
import { fc } from "./property.ts";

/** Messages as Telegram sends them to a bot that is called `test_bot`. */

export const BOT = { name: "test_bot", token: "4242:test-token", id: 4242 };

export const ADA = { id: 700_000_001, is_bot: false, first_name: "Ada", language_code: "en" };

export const PRIVATE = { id: ADA.id, type: "private", first_name: "Ada" };
export const GROUP = { id: -4_000_000_001, type: "group", title: "Group" };
export const SUPERGROUP = { id: -1_002_000_000_001, type: "supergroup", title: "Supergroup" };
export const FORUM = { id: -1_002_000_000_002, type: "supergroup", title: "Forum", is_forum: true };

export type Fields = Record<string, unknown>;

/** A message of Ada's. */
export const messageOf = (content: Fields, chat: Fields = PRIVATE): Fields => ({
  message_id: 7,
  date: 1_795_358_412,
  from: ADA,
  chat,
  ...content,
});

/** A text, and an entity over `part` of it. */
export const covering = (text: string, part: string, type: string, more: Fields = {}): Fields => ({
  text,
  entities: [{ type, offset: text.indexOf(part), length: part.length, ...more }],
});

/** The same under a photo. */
export const captioned = ({ text, entities }: Fields): Fields => ({
  photo: [{ file_id: "a", width: 1, height: 1 }],
  caption: text,
  caption_entities: entities,
});

/** A text that begins with a command. */
export const commanding = (text: string) => covering(text, /^\S+/.exec(text)?.[0] ?? "", "bot_command");

export const mentioning = (text: string) => covering(text, /@\w+/.exec(text)?.[0] ?? "", "mention");

/** As the receiver reads it from the wire. */
export function updateOf(fields: Fields): IncomingUpdate {
  const update = parseUpdate(JSON.parse(JSON.stringify({ update_id: 1_000, ...fields })));
  if (!update) throw new Error("that is no update");
  return update;
}

const hostileText = fc.oneof(
  fc.constantFrom(
    "",
    "\ud800",
    "a\udc00\ud83d",
    "\u202e/pots\u202c",
    "\u200f@test_bot\u200e",
    "\u0000",
    "İK",
  ),
  fc.constantFrom("🧭".repeat(4_096), "/stop", "/stop@test_bot", "/@", "/", "@test_bot", "__proto__"),
  fc.string({ unit: "binary", maxLength: 20 }),
);
const hostileNumber = fc.oneof(
  {
    weight: 50,
    arbitrary: fc.constantFrom(0, -1, 1, 9, BOT.id, GROUP.id, 2 ** 31, -(2 ** 31), Number.MAX_SAFE_INTEGER),
  },
  { weight: 50, arbitrary: fc.maxSafeInteger() },
  { weight: 1, arbitrary: fc.constantFrom(2 ** 53, 1e308, 0.5) },
);
const hostileUser = fc.record(
  { id: hostileNumber, is_bot: fc.boolean(), first_name: hostileText, username: hostileText },
  { requiredKeys: ["id"] },
);
const hostileEntities = fc.array(
  fc.record(
    {
      type: fc.constantFrom("mention", "text_mention", "bot_command", "bold", "no such type"),
      offset: hostileNumber,
      length: hostileNumber,
      user: hostileUser,
    },
    { requiredKeys: ["type", "offset", "length"] },
  ),
  { maxLength: 4 },
);
const hostileMessage = fc.record(
  {
    message_id: hostileNumber,
    date: hostileNumber,
    chat: fc.record({
      id: hostileNumber,
      type: fc.oneof(fc.constantFrom("private", "group", "supergroup", "channel"), hostileText),
    }),
    from: hostileUser,
    message_thread_id: hostileNumber,
    is_topic_message: fc.boolean(),
    text: hostileText,
    caption: hostileText,
    entities: hostileEntities,
    caption_entities: hostileEntities,
    reply_to_message: fc.record({ from: hostileUser, text: hostileText }, { requiredKeys: [] }),
    location: fc.record({ latitude: fc.double(), longitude: fc.double() }),
    migrate_to_chat_id: fc.oneof(hostileNumber, hostileText),
    sticker: fc.jsonValue(),
  },
  { requiredKeys: ["message_id", "chat"] },
);

/** What has the shape of an update, or nearly, and in it whatever nobody would send in good faith. */
export const hostileUpdates = fc
  .record(
    {
      update_id: hostileNumber,
      message: hostileMessage,
      edited_message: hostileMessage,
      callback_query: fc.record(
        { id: hostileText, from: hostileUser, message: hostileMessage, data: hostileText },
        { requiredKeys: ["id", "from"] },
      ),
      channel_post: fc.jsonValue(),
    },
    { requiredKeys: ["update_id"] },
  )
  // Through JSON, which has no NaN.
  .map((update): unknown => JSON.parse(JSON.stringify(update)));
