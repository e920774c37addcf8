import { ApiError, emptyArray, invalidType, missing, modelNotFound, unsupported } from "./api-error.ts";
import { isObject, type Json } from "./json.ts";
import { checkToolOrder } from "./tool-order.ts";
import { readTools } from "./tools.ts";
import type { ChatMessage, ChatRequest, ToolCall } from "./types.ts";

const ROLES: readonly string[] = ["system", "developer", "user", "assistant", "tool"];
const NO_MAX_TOKENS = /^(?:gpt-(?:[5-9]|\d\d)|o\d)/;

/** Reads a Chat Completions body; throws the `ApiError` that OpenAI would answer with. */
export function readChatRequest(body: string): ChatRequest {
  const request = parse(body);
  const { model, messages } = request;
  if (typeof model !== "string" || model === "")
    throw new ApiError(400, "you must provide a model parameter");
  if (model.startsWith("missing-")) throw modelNotFound(model);
  checkOptions(request, model);
  if (messages === undefined) throw missing("messages");
  if (!Array.isArray(messages)) throw invalidType("messages", "an array of objects", messages);
  if (messages.length === 0) throw emptyArray("messages");
  const read = messages.map(readMessage);
  checkToolOrder(read);
  const maxTokens = request["max_completion_tokens"] ?? request["max_tokens"];
  return {
    model,
    messages: read,
    tools: readTools(request["tools"], "function"),
    mayCallTools: request["tool_choice"] !== "none",
    parallelToolCalls: request["parallel_tool_calls"] !== false,
    ...(typeof maxTokens === "number" && { maxTokens }),
  };
}

export function parse(body: string): Json {
  try {
    const value: unknown = JSON.parse(body);
    if (isObject(value)) return value;
  } catch {
    // The same answer as for JSON that is no object.
  }
  throw new ApiError(
    400,
    "We could not parse the JSON body of your request. (HINT: This likely means you aren't using your HTTP library correctly. The OpenAI API expects a JSON payload, but what was sent was not valid JSON.)",
  );
}

function checkOptions(request: Json, model: string): void {
  if (request["stream"] === true) throw unsupported("stream", "The simulated model does not stream.");
  if ((request["n"] ?? 1) !== 1) throw unsupported("n", "The simulated model gives one choice.");
  if (isObject(request["response_format"]) && request["response_format"]["type"] !== "text") {
    throw unsupported("response_format", "The simulated model answers in plain text.");
  }
  if (!["auto", "none", undefined].includes(request["tool_choice"] as string | undefined)) {
    throw unsupported("tool_choice", "The simulated model knows the tool choices 'auto' and 'none'.");
  }
  for (const option of ["tool_choice", "parallel_tool_calls"]) {
    if (request[option] !== undefined && request["tools"] === undefined) {
      throw new ApiError(
        400,
        `Invalid value for '${option}': '${option}' is only allowed when 'tools' are specified.`,
        { param: option },
      );
    }
  }
  if (request["max_tokens"] !== undefined && NO_MAX_TOKENS.test(model)) {
    throw new ApiError(
      400,
      "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.",
      { param: "max_tokens", code: "unsupported_parameter" },
    );
  }
  for (const option of ["max_tokens", "max_completion_tokens"]) {
    const value = request[option] ?? 1;
    if (!Number.isInteger(value)) throw invalidType(option, "an integer", value);
    if ((value as number) < 1) {
      throw new ApiError(
        400,
        `Invalid '${option}': integer below minimum value. Expected a value >= 1, but got ${value} instead.`,
        { param: option, code: "integer_below_min_value" },
      );
    }
  }
}

function readMessage(value: unknown, index: number): ChatMessage {
  const at = `messages[${index}]`;
  if (!isObject(value)) throw invalidType(at, "an object", value);
  const { role } = value;
  if (role === undefined) throw missing(`${at}.role`);
  if (typeof role !== "string" || !ROLES.includes(role)) {
    const supported = ROLES.map((each) => `'${each}'`).join(", ");
    throw new ApiError(400, `Invalid value: '${String(role)}'. Supported values are: ${supported}.`, {
      param: `${at}.role`,
      code: "invalid_value",
    });
  }
  const toolCalls = readToolCalls(role, value["tool_calls"], at);
  const mayBeEmpty = role === "assistant" && (toolCalls.length > 0 || typeof value["refusal"] === "string");
  const message = {
    role: role as ChatMessage["role"],
    text: readContent(value["content"], at, mayBeEmpty),
    toolCalls,
  };
  if (role !== "tool") return message;
  const toolCallId = value["tool_call_id"];
  if (typeof toolCallId !== "string") throw missing(`${at}.tool_call_id`);
  return { ...message, toolCallId };
}

function readContent(content: unknown, at: string, mayBeEmpty: boolean): string {
  if (typeof content === "string") return content;
  const param = `${at}.content`;
  if (content === undefined || content === null) {
    if (mayBeEmpty) return "";
    throw new ApiError(400, `Invalid value for 'content': expected a string, got null.`, { param });
  }
  if (!Array.isArray(content)) throw invalidType(param, "one of a string or array of objects", content);
  if (content.length === 0) throw emptyArray(param);
  return content
    .map((part: unknown, index) => {
      if (isObject(part) && part["type"] === "text" && typeof part["text"] === "string") return part["text"];
      throw unsupported(`${param}[${index}]`, "The simulated model reads text parts only.");
    })
    .join("\n");
}

function readToolCalls(role: string, value: unknown, at: string): ToolCall[] {
  if (value === undefined || role !== "assistant") return [];
  const param = `${at}.tool_calls`;
  if (!Array.isArray(value)) throw invalidType(param, "an array of objects", value);
  if (value.length === 0) throw emptyArray(param);
  return value.map((call: unknown, index) => {
    const { id, type, function: called } = isObject(call) ? call : {};
    if (typeof id !== "string") throw missing(`${param}[${index}].id`);
    if (type !== "function") throw missing(`${param}[${index}].type`);
    const { name, arguments: args } = isObject(called) ? called : {};
    if (typeof name !== "string") throw missing(`${param}[${index}].function.name`);
    if (typeof args !== "string") throw missing(`${param}[${index}].function.arguments`);
    return { id, name, arguments: args };
  });
}
