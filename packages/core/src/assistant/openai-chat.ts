import type OpenAI from "openai";
import type { ChatModel, Item, ModelRequest, ModelResponse, Round } from "./chat-model.ts";
import { noAnswer, OpenAIClient, type OpenAIOptions, readable, toToolCalls } from "./openai-client.ts";

type ChatMessage = OpenAI.Chat.Completions.ChatCompletionMessageParam;
type ChatRequest = OpenAI.Chat.Completions.ChatCompletionCreateParamsNonStreaming;

/** OpenAI's models refuse `max_tokens` since they reason; many other servers know nothing else. */
const HAS_COMPLETION_LIMIT = /^(?:gpt-(?:[5-9]|\d\d)|o\d)/;

/** Chat Completions by the `openai` package: any server that speaks it will do. */
export class OpenAIChat implements ChatModel {
  readonly name: string;
  readonly #effort: string | undefined;
  readonly #limit: Pick<ChatRequest, "max_tokens" | "max_completion_tokens">;
  readonly #client: OpenAIClient;

  constructor(options: OpenAIOptions) {
    this.name = options.model;
    this.#effort = options.reasoningEffort;
    const { maxOutputTokens: limit, model } = options;
    const name = HAS_COMPLETION_LIMIT.test(model) ? "max_completion_tokens" : "max_tokens";
    this.#limit = limit === undefined ? {} : { [name]: limit };
    this.#client = new OpenAIClient("chat", options);
  }

  respond({ instructions, items, tools, toolChoice, signal }: ModelRequest): Promise<ModelResponse> {
    const body: ChatRequest = {
      model: this.name,
      ...this.#limit,
      messages: [{ role: "system", content: instructions }, ...items.flatMap(inSteps).reduce(appendItem, [])],
    };
    if (tools.length > 0) {
      body.tools = tools.map((tool) => ({ type: "function", function: { ...tool, strict: true } }));
      body.tool_choice = toolChoice;
    }
    if (this.#effort) body.reasoning_effort = this.#effort as NonNullable<ChatRequest["reasoning_effort"]>;
    return this.#client.use(async ({ chat }) => toResponse(await chat.completions.create(body, { signal })));
  }
}

const inSteps = (item: Item | Round): readonly Item[] => (item.type === "round" ? item.steps : [item]);

/** Calls of one round, and what the model said with them, are one assistant message. */
function appendItem(messages: ChatMessage[], item: Item): ChatMessage[] {
  if (item.type === "tool_result") {
    messages.push({ role: "tool", tool_call_id: item.callId, content: item.content });
  } else if (item.type === "message") {
    messages.push({ role: item.role, content: item.content });
  } else {
    const call = {
      id: item.id,
      type: "function" as const,
      function: { name: item.name, arguments: readable(item) },
    };
    const last = messages.at(-1);
    if (last?.role === "assistant") last.tool_calls = [...(last.tool_calls ?? []), call];
    else messages.push({ role: "assistant", content: null, tool_calls: [call] });
  }
  return messages;
}

function toResponse(completion: OpenAI.Chat.Completions.ChatCompletion): ModelResponse {
  const choice = completion.choices?.[0];
  const message = choice?.message;
  const text = message?.content ?? message?.refusal ?? "";
  const calls = (message?.tool_calls ?? []).filter((call) => call.type === "function");
  const toolCalls = toToolCalls(calls.map(({ id, function: called }) => ({ ...called, id })));
  if (!text.trim() && toolCalls.length === 0) throw noAnswer(choice?.finish_reason === "content_filter");
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
