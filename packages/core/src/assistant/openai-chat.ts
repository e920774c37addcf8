import type OpenAI from "openai";
import type { APIError } from "openai";
import { AppError } from "../error.ts";
import { retryAfterMs } from "../resilience/retry-after.ts";
import { isTransientStatus, UpstreamError } from "../resilience/upstream-error.ts";
import type { ChatModel, Item, ModelRequest, ModelResponse, ToolCall } from "./chat-model.ts";

type ChatMessage = OpenAI.Chat.Completions.ChatCompletionMessageParam;
type ChatRequest = OpenAI.Chat.Completions.ChatCompletionCreateParamsNonStreaming;

export type OpenAIChatOptions = {
  apiKey: string;
  /** Ends in /v1; OpenAI's own when absent. Any server that speaks Chat Completions will do. */
  baseUrl?: string | undefined;
  model: string;
  /** Sent only when set: not every server and model knows it. */
  reasoningEffort?: string | undefined;
};

/** Chat Completions by the `openai` package, its own retries off. */
export class OpenAIChat implements ChatModel {
  readonly name: string;
  readonly #options: OpenAIChatOptions;
  #client: Promise<OpenAI> | undefined;

  constructor(options: OpenAIChatOptions) {
    this.name = options.model;
    this.#options = options;
  }

  async respond({ instructions, items, tools, toolChoice, signal }: ModelRequest): Promise<ModelResponse> {
    const body: ChatRequest = {
      model: this.name,
      messages: [{ role: "system", content: instructions }, ...items.reduce(appendItem, [])],
    };
    if (tools.length > 0) {
      body.tools = tools.map((tool) => ({ type: "function", function: { ...tool, strict: true } }));
      body.tool_choice = toolChoice;
    }
    const effort = this.#options.reasoningEffort;
    if (effort) body.reasoning_effort = effort as NonNullable<ChatRequest["reasoning_effort"]>;
    this.#client ??= this.#connect();
    const client = await this.#client;
    try {
      return toResponse(await client.chat.completions.create(body, { signal }));
    } catch (error) {
      throw this.#toError(error);
    }
  }

  // Loaded with the first call: the package is a third of the bundle, and listing conversations does not need it.
  async #connect(): Promise<OpenAI> {
    const { OpenAI: OpenAIClient } = await import("openai/client");
    return new OpenAIClient({
      apiKey: this.#options.apiKey,
      baseURL: this.#options.baseUrl ?? null,
      maxRetries: 0,
      // Time limits are the caller's signals.
      timeout: 10 * 60_000,
      // Its log holds messages.
      logLevel: "off",
    });
  }

  /** By status and code, never by message. What was not an HTTP answer is a network failure: a cut, a time-out. */
  #toError(thrown: unknown): Error {
    if (thrown instanceof AppError) return thrown;
    const { status, code, headers } = (thrown ?? {}) as Partial<APIError>;
    const error = forTheLog(thrown);
    if (status === undefined)
      return new UpstreamError("the model's connection failed", { transient: true, cause: error });
    if (code === "insufficient_quota") {
      return new AppError("resource_exhausted", "The OpenAI account has no quota left: check its billing.", {
        cause: error,
      });
    }
    if (code === "context_length_exceeded") {
      return new AppError(
        "out_of_range",
        "The conversation is too long for the model: lower MAX_CONTEXT_TOKENS.",
        {
          cause: error,
          meta: { setting: "MAX_CONTEXT_TOKENS" },
        },
      );
    }
    if (status === 401 || status === 403)
      return wrongSetting("OPENAI_API_KEY", "The model's provider refused the key", error);
    if (status === 404) {
      return wrongSetting(
        "OPENAI_MODEL",
        `The model ${JSON.stringify(this.name)} does not exist or is gone`,
        error,
      );
    }
    // 409 is OpenAI's own lock.
    if (isTransientStatus(status) || status === 409) {
      return new UpstreamError(`the model's provider answered ${status}`, {
        transient: true,
        retryAfterMs: retryAfterMs(headers?.get("retry-after"), Date.now()),
        cause: error,
      });
    }
    return new AppError("internal", "The model's provider refused the request.", { cause: error });
  }
}

/** The provider's words may quote the prompt, and what users write stays out of the log. */
function forTheLog(thrown: unknown): Error {
  if (!(thrown instanceof Error)) return new Error("the client threw no error");
  const { status, code, requestID } = thrown as Partial<APIError>;
  if (status === undefined)
    return new Error(thrown.name, { cause: (thrown.cause as { code?: string } | undefined)?.code });
  return new Error(`${thrown.name}: ${[status, code, requestID].filter(Boolean).join(" ")}`);
}

const wrongSetting = (setting: string, message: string, cause: unknown) =>
  new AppError("failed_precondition", `${message}: check ${setting}.`, { cause, meta: { setting } });

/** Calls of one round, and what the model said with them, are one assistant message. */
function appendItem(messages: ChatMessage[], item: Item): ChatMessage[] {
  if (item.type === "tool_result") {
    messages.push({ role: "tool", tool_call_id: item.callId, content: item.content });
  } else if (item.type === "message") {
    messages.push({ role: item.role, content: item.content });
  } else {
    const { id, name } = item;
    // What the model wrote may be no JSON, and many servers refuse to read that in a history. The result says so.
    const args = isJsonObject(item.arguments) ? item.arguments : "{}";
    const call = { id, type: "function" as const, function: { name, arguments: args } };
    const last = messages.at(-1);
    if (last?.role === "assistant") last.tool_calls = [...(last.tool_calls ?? []), call];
    else messages.push({ role: "assistant", content: null, tool_calls: [call] });
  }
  return messages;
}

function isJsonObject(text: string): boolean {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null && !Array.isArray(value);
  } catch {
    return false;
  }
}

const MAX_NAME_LENGTH = 64;

/** Ids that tell the calls of a round apart and names that the API takes back, whatever the server sent. */
function toToolCalls(calls: readonly OpenAI.Chat.Completions.ChatCompletionMessageToolCall[]): ToolCall[] {
  const functions = calls.filter((call) => call.type === "function");
  const ids = new Set(functions.map(({ id }) => id));
  const usable =
    ids.size === functions.length && functions.every(({ id }) => id && id.length <= MAX_NAME_LENGTH);
  return functions.map(({ id, function: { name, arguments: args } }, index) => ({
    type: "tool_call",
    id: usable ? id : `call_${index}`,
    name: name.replace(/[^\w-]/g, "_").slice(0, MAX_NAME_LENGTH) || "_",
    arguments: (typeof args === "string" ? args : JSON.stringify(args)) || "{}",
  }));
}

function toResponse(completion: OpenAI.Chat.Completions.ChatCompletion): ModelResponse {
  const message = completion.choices?.[0]?.message;
  const text = message?.content ?? message?.refusal ?? "";
  const toolCalls = toToolCalls(message?.tool_calls ?? []);
  if (!text.trim() && toolCalls.length === 0) {
    throw new AppError("unavailable", "The model gave an empty answer. Send the message again.", {
      meta: { retry_after: "1" },
    });
  }
  const usage = completion.usage;
  return {
    text,
    toolCalls,
    usage: {
      input: usage?.prompt_tokens ?? 0,
      output: usage?.completion_tokens ?? 0,
      cached: usage?.prompt_tokens_details?.cached_tokens ?? 0,
    },
  };
}
