import { badRequest } from "./api-error.ts";
import type { Params } from "./params.ts";
import type { BotCommand, Chat, User } from "./types.ts";

const MAX_COMMANDS = 100;
const MAX_DESCRIPTION = 256;

type Json = Record<string, unknown>;

/** The command lists of one bot, a list for each scope and language. */
export type CommandMenu = {
  set(params: Params): void;
  get(params: Params): BotCommand[];
  delete(params: Params): void;
  /** What this user's client offers in this chat: the narrowest scope that has a list. */
  offered(chat: Chat, user: User): BotCommand[];
};

export function createCommandMenu(): CommandMenu {
  const lists = new Map<string, BotCommand[]>();
  const key = (scope: string, language: string) => `${scope}|${language}`;
  const keyOf = (params: Params) => key(readScope(params), readLanguage(params));
  return {
    set(params) {
      const commands = readCommands(params);
      // An empty list is no list.
      if (commands.length === 0) lists.delete(keyOf(params));
      else lists.set(keyOf(params), commands);
    },
    get: (params) => lists.get(keyOf(params)) ?? [],
    delete: (params) => void lists.delete(keyOf(params)),
    offered(chat, user) {
      const wide = chat.type === "private" ? "all_private_chats" : "all_group_chats";
      const scopes = [`chat_member ${chat.id} ${user.id}`, `chat ${chat.id}`, wide, "default"];
      const languages = user.language_code === undefined ? [""] : [user.language_code, ""];
      const keys = scopes.flatMap((scope) => languages.map((language) => key(scope, language)));
      return keys.map((each) => lists.get(each)).find((list) => list !== undefined) ?? [];
    },
  };
}

function readCommands(params: Params): BotCommand[] {
  const commands = params.json("commands", "commands") ?? [];
  if (!Array.isArray(commands)) throw badRequest("Expected an Array of BotCommand");
  if (commands.length > MAX_COMMANDS) throw badRequest("BOT_COMMANDS_TOO_MUCH");
  return commands.map(readCommand);
}

function readCommand(value: unknown): BotCommand {
  const refuse = (reason: string) => badRequest(`Can't parse BotCommand: ${reason}`);
  if (typeof value !== "object" || value === null) throw refuse("expected an Object");
  const fields = value as Json;
  for (const name of ["command", "description"]) {
    if (typeof fields[name] !== "string") throw refuse(`Can't find field "${name}"`);
  }
  const command = String(fields["command"]).trim().replace(/^\//, "");
  const description = String(fields["description"]).trim();
  if (command === "") throw badRequest("Command must be non-empty");
  if ([...command].length > 32) throw badRequest("Command length must not exceed 32");
  if (!/^[a-z0-9_]+$/.test(command)) throw badRequest("BOT_COMMAND_INVALID");
  if (description === "") throw badRequest("Command description must be non-empty");
  if ([...description].length > MAX_DESCRIPTION) {
    throw badRequest(`Command description length must not exceed ${MAX_DESCRIPTION}`);
  }
  return { command, description };
}

function readLanguage(params: Params): string {
  const code = params.text("language_code");
  if (code !== "" && !/^[a-z]{2}$/.test(code)) throw badRequest("Invalid language code specified");
  return code;
}

function readScope(params: Params): string {
  const refuse = (reason: string) => badRequest(`Can't parse BotCommandScope: ${reason}`);
  const scope = params.json("scope", "BotCommandScope");
  if (scope === undefined) return "default";
  if (typeof scope !== "object" || scope === null) throw refuse("BotCommandScope must be an Object");
  const { type, chat_id: chat = "", user_id: user } = scope as Json;
  switch (type) {
    case "default":
    case "all_private_chats":
    case "all_group_chats":
    case "all_chat_administrators":
      return type;
    case "chat":
    case "chat_administrators":
    case "chat_member":
      if (chat === "") throw refuse("Empty chat_id specified");
      if (type !== "chat_member") return `${type} ${chat}`;
      if (!(Number(user) > 0)) throw refuse("Invalid user_id specified");
      return `${type} ${chat} ${user}`;
    default:
      throw refuse("Unsupported type specified");
  }
}
