import { createHash } from "node:crypto";
import type { Json } from "./json.ts";
import type { ChatMessage, ChatRequest } from "./types.ts";

/** A prompt's prefix is cached from this many tokens on, in steps of 128. */
const CACHED_FROM = 1024;
const CACHE_STEP = 128;
const PROMPTS_REMEMBERED = 32;
/** Of UTF-8: near enough to a real tokenizer. */
export const OCTETS_PER_TOKEN = 4;

export type UsageOf = (request: ChatRequest, message: Json) => Usage;
/** In tokens; `cached` is part of `input`. */
export type Usage = { input: number; cached: number; output: number };

/** Counts tokens, and remembers the prompts that it has seen as the provider's cache would. */
export function createUsage(): UsageOf {
  // Digests of the prefixes of recent prompts, one set a prompt, newest last.
  const prompts: ReadonlyMap<string, number>[] = [];
  return (request, message) => {
    const prefixes = promptPrefixes(request);
    const input = [...prefixes.values()].at(-1) ?? 0;
    let known = 0;
    for (const [digest, tokens] of prefixes) {
      if (prompts.some((each) => each.has(digest))) known = tokens;
    }
    prompts.push(prefixes);
    if (prompts.length > PROMPTS_REMEMBERED) prompts.shift();
    const cached = known < CACHED_FROM ? 0 : Math.floor(known / CACHE_STEP) * CACHE_STEP;
    const { content, tool_calls } = message;
    const output = countTokens(typeof content === "string" ? content : JSON.stringify(tool_calls ?? ""));
    return { input, cached, output };
  };
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

export function countTokens(text: string): number {
  return Math.ceil(Buffer.byteLength(text) / OCTETS_PER_TOKEN);
}
