import { randomUUID } from "node:crypto";
import type { Json } from "./json.ts";
import type { ChatRequest } from "./types.ts";
import { countTokens, OCTETS_PER_TOKEN, type UsageOf } from "./usage.ts";

/** What the model says: words, or calls of tools. */
export type Utterance = { text: string } | { calls: readonly { name: string; arguments: Json }[] };

/** A message as the API sends it, and why the model stopped. */
export type Choice = { message: Json; finish_reason: string };

export function toChoice(utterance: Utterance, maxTokens = Number.POSITIVE_INFINITY): Choice {
  if ("calls" in utterance) {
    const calls = utterance.calls.map((call) => ({
      id: `call_${randomUUID().replaceAll("-", "").slice(0, 24)}`,
      type: "function",
      function: { name: call.name, arguments: JSON.stringify(call.arguments) },
    }));
    return { message: { ...assistant(null), tool_calls: calls }, finish_reason: "tool_calls" };
  }
  if (countTokens(utterance.text) <= maxTokens)
    return { message: assistant(utterance.text), finish_reason: "stop" };
  return { message: assistant(head(utterance.text, maxTokens)), finish_reason: "length" };
}

function assistant(content: string | null): Json {
  return { role: "assistant", content, refusal: null, annotations: [] };
}

function head(text: string, tokens: number): string {
  let octets = 0;
  let end = 0;
  for (const character of text) {
    octets += Buffer.byteLength(character);
    if (octets > tokens * OCTETS_PER_TOKEN) break;
    end += character.length;
  }
  return text.slice(0, end);
}

/** Wraps choices into response bodies, with unique ids and plausible usage. */
export function createCompletions(now: () => Date, usageOf: UsageOf) {
  return (request: ChatRequest, choice: Choice): Json => {
    const { input, cached, output } = usageOf(request, choice.message);
    return {
      id: `chatcmpl-${randomUUID().replaceAll("-", "")}`,
      object: "chat.completion",
      created: Math.floor(now().getTime() / 1000),
      model: request.model,
      choices: [{ index: 0, message: choice.message, logprobs: null, finish_reason: choice.finish_reason }],
      usage: {
        prompt_tokens: input,
        completion_tokens: output,
        total_tokens: input + output,
        prompt_tokens_details: { cached_tokens: cached, audio_tokens: 0 },
        completion_tokens_details: {
          reasoning_tokens: 0,
          audio_tokens: 0,
          accepted_prediction_tokens: 0,
          rejected_prediction_tokens: 0,
        },
      },
      service_tier: "default",
      system_fingerprint: "fp_simulated",
    };
  };
}
