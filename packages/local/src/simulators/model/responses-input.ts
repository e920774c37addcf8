import { ApiError, emptyArray, invalidType, missing, unsupported } from "./api-error.ts";
import { isObject, type Json } from "./json.ts";
import type { ChatMessage } from "./types.ts";

type Role = Exclude<ChatMessage["role"], "tool">;
/** Content that each role may have, besides plain text. */
const PARTS: Readonly<Record<Role, readonly string[]>> = {
  user: ["input_text"],
  system: ["input_text"],
  developer: ["input_text"],
  assistant: ["output_text", "refusal"],
};
const PREFIXES: Readonly<Record<string, string>> = { message: "msg", reasoning: "rs", function_call: "fc" };
const LONGEST_CALL_ID = 64;

/** Reads `input`: every output answers a call before it, every call is answered, and `check` sees to the reasoning. */
export function readInput(input: unknown, check: (items: readonly Json[]) => void): ChatMessage[] {
  if (typeof input === "string") return [{ role: "user", text: input, toolCalls: [] }];
  if (!Array.isArray(input)) throw invalidType("input", "one of a string or array of objects", input);
  if (input.length === 0) throw emptyArray("input");
  const waiting = new Set<string>();
  const items = input.map((item: unknown, index) => {
    if (!isObject(item)) throw invalidType(`input[${index}]`, "an object", item);
    return item;
  });
  const messages = items.flatMap((item, index) => {
    const message = readItem(item, `input[${index}]`);
    for (const { id } of message?.toolCalls ?? []) waiting.add(id);
    if (message?.toolCallId !== undefined && !waiting.delete(message.toolCallId)) {
      throw refused(`No tool call found for function call output with call_id ${message.toolCallId}.`);
    }
    return message ?? [];
  });
  for (const id of waiting) throw refused(`No tool output found for function call ${id}.`);
  check(items);
  return messages;
}

/** Nothing for reasoning: only its order matters. */
function readItem(item: Json, at: string): ChatMessage | undefined {
  const { type = "message", id } = item;
  const prefix = PREFIXES[String(type)];
  if (prefix !== undefined && id !== undefined && !String(id).startsWith(prefix)) {
    throw new ApiError(400, `Invalid '${at}.id': '${id}'. Expected an ID that begins with '${prefix}'.`, {
      param: `${at}.id`,
      code: "invalid_value",
    });
  }
  switch (type) {
    case "message":
      return readMessage(item, at);
    case "reasoning":
      if (!Array.isArray(item["summary"])) throw missing(`${at}.summary`);
      return undefined;
    case "function_call": {
      const name = text(item["name"], `${at}.name`);
      const call = { id: callId(item, at), name, arguments: text(item["arguments"], `${at}.arguments`) };
      return { role: "assistant", text: "", toolCalls: [call] };
    }
    case "function_call_output": {
      const output = text(item["output"], `${at}.output`);
      return { role: "tool", text: output, toolCalls: [], toolCallId: callId(item, at) };
    }
    default:
      throw new ApiError(400, `Invalid value: '${String(type)}'.`, {
        param: `${at}.type`,
        code: "invalid_value",
      });
  }
}

function text(value: unknown, param: string): string {
  if (value === undefined) throw missing(param);
  if (typeof value !== "string") throw invalidType(param, "a string", value);
  return value;
}

function callId(item: Json, at: string): string {
  const id = text(item["call_id"], `${at}.call_id`);
  if (id.length <= LONGEST_CALL_ID) return id;
  throw new ApiError(400, `Invalid '${at}.call_id': string too long.`, {
    param: `${at}.call_id`,
    code: "string_above_max_length",
  });
}

function readMessage({ role, content }: Json, at: string): ChatMessage {
  if (typeof role !== "string" || !Object.hasOwn(PARTS, role)) {
    throw new ApiError(
      400,
      `Invalid value: '${String(role)}'. Supported values are: ${quoted(Object.keys(PARTS))}.`,
      {
        param: `${at}.role`,
        code: "invalid_value",
      },
    );
  }
  return { role: role as Role, text: readContent(content, role as Role, `${at}.content`), toolCalls: [] };
}

function readContent(content: unknown, role: Role, at: string): string {
  if (content === undefined || content === null) throw missing(at);
  if (typeof content === "string") return content;
  if (!Array.isArray(content)) throw invalidType(at, "one of a string or array of objects", content);
  return content
    .map((part: unknown, index) => {
      const { type, text: words, refusal } = isObject(part) ? part : {};
      if (["input_image", "input_file", "input_audio"].includes(String(type)))
        throw unsupported(`${at}[${index}]`, "The simulated model reads text parts only.");
      if (!PARTS[role].includes(String(type))) {
        throw new ApiError(
          400,
          `Invalid value: '${String(type)}'. Supported values are: ${quoted(PARTS[role])}.`,
          {
            param: `${at}[${index}]`,
            code: "invalid_value",
          },
        );
      }
      return text(type === "refusal" ? refusal : words, `${at}[${index}].text`);
    })
    .join("\n");
}

const quoted = (names: readonly string[]) => names.map((name) => `'${name}'`).join(", ");

const refused = (message: string) => new ApiError(400, message, { param: "input" });
