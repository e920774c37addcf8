import { createHash, randomUUID } from "node:crypto";
import type { Json } from "./json.ts";
import type { ChatMessage, ChatRequest } from "./types.ts";

/** What the model says: words, or calls of tools. */
export type Utterance = { text: string } | { calls: readonly { name: string; arguments: Json }[] };

/** A prompt's prefix is cached from this many tokens on, in steps of 128. */
const CACHED_FROM = 1024;
const CACHE_STEP = 128;
const PROMPTS_REMEMBERED = 32;
/** Of UTF-8: near enough to a real tokenizer. */
const OCTETS_PER_TOKEN = 4;

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
export function createCompletions(now: () => Date) {
  // Digests of the prefixes of recent prompts, one set a prompt, newest last.
  const prompts: ReadonlyMap<string, number>[] = [];

  function usage(request: ChatRequest, choice: Choice) {
    const prefixes = promptPrefixes(request);
    const prompt = [...prefixes.values()].at(-1) ?? 0;
    let known = 0;
    for (const [digest, tokens] of prefixes) {
      if (prompts.some((each) => each.has(digest))) known = tokens;
    }
    prompts.push(prefixes);
    if (prompts.length > PROMPTS_REMEMBERED) prompts.shift();
    const cached = known < CACHED_FROM ? 0 : Math.floor(known / CACHE_STEP) * CACHE_STEP;
    const { content, tool_calls } = choice.message;
    const completion = countTokens(typeof content === "string" ? content : JSON.stringify(tool_calls ?? ""));
    return {
      prompt_tokens: prompt,
      completion_tokens: completion,
      total_tokens: prompt + completion,
      prompt_tokens_details: { cached_tokens: cached, audio_tokens: 0 },
      completion_tokens_details: {
        reasoning_tokens: 0,
        audio_tokens: 0,
        accepted_prediction_tokens: 0,
        rejected_prediction_tokens: 0,
      },
    };
  }

  return (request: ChatRequest, choice: Choice): Json => ({
    id: `chatcmpl-${randomUUID().replaceAll("-", "")}`,
    object: "chat.completion",
    created: Math.floor(now().getTime() / 1000),
    model: request.model,
    choices: [{ index: 0, message: choice.message, logprobs: null, finish_reason: choice.finish_reason }],
    usage: usage(request, choice),
    service_tier: "default",
    system_fingerprint: "fp_simulated",
  });
}

/** The prompt's prefixes that end with a message: digest of everything so far -> tokens so far. */
function promptPrefixes({ tools, messages }: ChatRequest): Map<string, number> {
  const prefixes = new Map<string, number>();
  const parts = [...(tools.length > 0 ? [JSON.stringify(tools)] : []), ...messages.map(serialised)];
  let digest = "";
  let tokens = 3;
  for (const part of parts) {
    digest = createHash("sha256").update(digest).update(part).digest("base64");
    tokens += countTokens(part);
    prefixes.set(digest, tokens);
  }
  return prefixes;
}

function serialised({ role, text, toolCalls, toolCallId }: ChatMessage): string {
  return [role, text, toolCallId ?? "", ...toolCalls.flatMap((call) => [call.name, call.arguments])].join(
    "\n",
  );
}

function countTokens(text: string): number {
  return Math.ceil(Buffer.byteLength(text) / OCTETS_PER_TOKEN);
}
