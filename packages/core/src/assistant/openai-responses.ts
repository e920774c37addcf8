import type { APIError } from "openai";
import type {
  Response,
  ResponseCreateParamsNonStreaming,
  ResponseInputItem,
  ResponseOutputItem,
} from "openai/resources/responses/responses";
import { AppError } from "../error.ts";
import { UpstreamError } from "../resilience/upstream-error.ts";
import type { ChatModel, Item, ModelRequest, ModelResponse, Round } from "./chat-model.ts";
import {
  isJsonObject,
  noAnswer,
  OpenAIClient,
  type OpenAIOptions,
  readable,
  toToolCalls,
} from "./openai-client.ts";

type Effort = NonNullable<NonNullable<ResponseCreateParamsNonStreaming["reasoning"]>["effort"]>;

/**
 * OpenAI's Responses by the `openai` package. Nothing is stored there (`store: false`, never `previous_response_id`):
 * between the rounds of one turn the model's own items, its encrypted reasoning among them, are given back in their order.
 */
export class OpenAIResponses implements ChatModel {
  readonly name: string;
  readonly #effort: string | undefined;
  readonly #maxOutputTokens: number | undefined;
  readonly #client: OpenAIClient;
  /** A model that does not reason refuses to be asked for its reasoning; it is known after the first request. */
  #givesReasoning = true;

  constructor(options: OpenAIOptions) {
    this.name = options.model;
    this.#effort = options.reasoningEffort;
    this.#maxOutputTokens = options.maxOutputTokens;
    this.#client = new OpenAIClient("responses", options);
  }

  respond(request: ModelRequest): Promise<ModelResponse> {
    const { signal } = request;
    return this.#client.use(async ({ responses }) => {
      try {
        return toResponse(await responses.create(this.#body(request), { signal }), this.name);
      } catch (error) {
        if (!this.#givesReasoning || !refusesInclude(error)) throw error;
        this.#givesReasoning = false;
        return toResponse(await responses.create(this.#body(request), { signal }), this.name);
      }
    });
  }

  #body(request: ModelRequest): ResponseCreateParamsNonStreaming {
    const { instructions, items, tools, toolChoice, conversation, asker } = request;
    return {
      model: this.name,
      instructions,
      input: items.flatMap((item) => this.#toInput(item)),
      store: false,
      ...(this.#maxOutputTokens !== undefined && { max_output_tokens: this.#maxOutputTokens }),
      ...(this.#givesReasoning && { include: ["reasoning.encrypted_content"] }),
      ...(tools.length > 0 && {
        tools: tools.map((tool) => ({ type: "function", ...tool, strict: true })),
        tool_choice: toolChoice,
      }),
      ...(this.#effort && { reasoning: { effort: this.#effort as Effort } }),
      ...(conversation && { prompt_cache_key: conversation }),
      ...(asker && { safety_identifier: asker }),
    };
  }

  #toInput(item: Item | Round): ResponseInputItem[] {
    if (item.type !== "round") return [inputOf(item)];
    const { steps, output } = item;
    if (output?.model !== this.name) return steps.map(inputOf);
    const given = output.items as readonly ResponseOutputItem[];
    if (!isWhole(given, steps)) return steps.map(inputOf);
    const results = steps.filter((step) => step.type === "tool_result");
    return [...(given as readonly ResponseInputItem[]), ...results.map(inputOf)];
  }
}

function refusesInclude(error: unknown): boolean {
  const { status, param } = (error ?? {}) as Partial<APIError>;
  return status === 400 && Boolean(param?.startsWith("include"));
}

/**
 * Whether the model's own items can be given back: the API wants each call answered as it was made, and reasoning with
 * what it led to. A call that was cut or dropped, or reasoning that nobody can read, leaves only the steps, which have
 * neither ids nor reasoning.
 */
function isWhole(given: readonly ResponseOutputItem[], steps: Round["steps"]): boolean {
  const made = steps.filter((step) => step.type === "tool_call");
  const calls = given.filter((item) => item.type === "function_call");
  return (
    calls.length === made.length &&
    given.every((item) => {
      if (item.type === "reasoning") return Boolean(item.encrypted_content);
      if (item.type !== "function_call") return item.type === "message";
      const same = made.find(({ id }) => id === item.call_id);
      return same?.name === item.name && same.arguments === item.arguments && isJsonObject(item.arguments);
    })
  );
}

function inputOf(item: Item): ResponseInputItem {
  if (item.type === "message") return { role: item.role, content: item.content };
  if (item.type === "tool_result")
    return { type: "function_call_output", call_id: item.callId, output: item.content };
  return { type: "function_call", call_id: item.id, name: item.name, arguments: readable(item) };
}

function toResponse(response: Response, model: string): ModelResponse {
  checkEnd(response);
  const items = response.output ?? [];
  const calls = items.filter((item) => item.type === "function_call");
  const toolCalls = toToolCalls(
    calls.map(({ call_id: id, name, arguments: args }) => ({ id, name, arguments: args })),
  );
  const text = textOf(items);
  if (!text.trim() && toolCalls.length === 0)
    throw noAnswer(response.incomplete_details?.reason === "content_filter");
  const usage = response.usage;
  return {
    text,
    toolCalls,
    usage: {
      input: usage?.input_tokens ?? 0,
      output: usage?.output_tokens ?? 0,
      cached: usage?.input_tokens_details?.cached_tokens ?? 0,
    },
    ...(toolCalls.length > 0 && { output: { model, items } }),
  };
}

/** An incomplete response is given as far as it goes, as Chat Completions does with one that was cut for its length. */
function checkEnd({ status, error }: Response): void {
  if (!error && (status === undefined || status === "completed" || status === "incomplete")) return;
  const cause = new Error([status, error?.code].filter(Boolean).join(" "));
  const isTransient = !error || error.code === "server_error" || error.code === "rate_limit_exceeded";
  if (isTransient) throw new UpstreamError("the model's response failed", { transient: true, cause });
  throw new AppError("internal", "The model's provider refused the request.", { cause });
}

/** What the model says of its work on the way is left out where an answer follows it. */
function textOf(items: readonly ResponseOutputItem[]): string {
  const messages = items.filter((item) => item.type === "message");
  const answers = messages.filter(({ phase }) => phase === "final_answer");
  return (answers.length > 0 ? answers : messages)
    .map(({ content }) => {
      const texts = content.map((part) => (part.type === "output_text" ? part.text : ""));
      const refusals = content.map((part) => (part.type === "refusal" ? part.refusal : ""));
      return texts.join("") || refusals.join("");
    })
    .filter(Boolean)
    .join("\n\n");
}
