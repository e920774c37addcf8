import { randomUUID } from "node:crypto";
import type { Choice } from "./completion.ts";
import { isObject, type Json } from "./json.ts";
import { createReasoning } from "./reasoning.ts";
import { type ResponsesRequest, readResponsesRequest } from "./responses-request.ts";
import type { UsageOf } from "./usage.ts";

/** Reads requests of the Responses API and words answers as it does. */
export function createResponses(now: () => Date, usageOf: UsageOf) {
  const reasoning = createReasoning();
  let stored: string[] = [];

  function write(request: ResponsesRequest, choice: Choice): Json {
    const said = itemsOf(choice.message);
    const thought = request.reasons ? [reasoning.before(said[0], request)] : [];
    const { input, cached, output } = usageOf(request, choice.message);
    const id = newId("resp");
    if (request.body["store"] !== false) stored.push(id);
    const reason = { length: "max_output_tokens", content_filter: "content_filter" }[choice.finish_reason];
    return {
      id,
      object: "response",
      created_at: Math.floor(now().getTime() / 1000),
      status: reason === undefined ? "completed" : "incomplete",
      background: false,
      error: null,
      incomplete_details: reason === undefined ? null : { reason },
      instructions: request.body["instructions"] ?? null,
      max_output_tokens: request.body["max_output_tokens"] ?? null,
      model: request.model,
      output: [...thought, ...said],
      parallel_tool_calls: request.parallelToolCalls,
      previous_response_id: null,
      prompt_cache_key: request.body["prompt_cache_key"] ?? null,
      reasoning: { effort: request.effort ?? null, summary: null },
      safety_identifier: request.body["safety_identifier"] ?? null,
      service_tier: "default",
      store: request.body["store"] !== false,
      temperature: 1,
      text: { format: { type: "text" } },
      tool_choice: request.body["tool_choice"] ?? "auto",
      tools: request.body["tools"] ?? [],
      top_p: 1,
      truncation: "disabled",
      usage: {
        input_tokens: input,
        input_tokens_details: { cached_tokens: cached, cache_write_tokens: 0 },
        output_tokens: output,
        output_tokens_details: { reasoning_tokens: 0 },
        total_tokens: input + output,
      },
      metadata: {},
    };
  }

  return {
    read: (body: string) => readResponsesRequest(body, reasoning.check),
    write,
    stored: (): readonly string[] => stored,
    reset() {
      stored = [];
    },
  };
}

const newId = (prefix: string) => `${prefix}_${randomUUID().replaceAll("-", "")}`;

/** A message of Chat Completions as output items: words first, then the calls. */
function itemsOf({ content, refusal, tool_calls }: Json): Json[] {
  const parts: Json[] = [];
  if (typeof content === "string" && content !== "")
    parts.push({ type: "output_text", text: content, annotations: [], logprobs: [] });
  if (typeof refusal === "string") parts.push({ type: "refusal", refusal });
  const words = { type: "message", id: newId("msg"), status: "completed", role: "assistant", content: parts };
  const calls = (Array.isArray(tool_calls) ? tool_calls : []).flatMap((call: unknown) => {
    const { id, function: called } = isObject(call) ? call : {};
    return isObject(called)
      ? [{ type: "function_call", id: newId("fc"), status: "completed", call_id: id, ...called }]
      : [];
  });
  return parts.length > 0 ? [words, ...calls] : calls;
}
