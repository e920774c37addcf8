import * as z from "../schema.ts";
import type { Prompt } from "./prompts.ts";

/** Where the operator's prompts are, one JSON text for all: `StoredPrompts`. They are read and written as they are. */
export interface PromptStore {
  /** Undefined when there are none. */
  read(signal?: AbortSignal): Promise<string | undefined>;
  write(text: string): Promise<void>;
  reset(): Promise<void>;
}

/** Far below DynamoDB's 400 KB. */
const MAX_LENGTH = 64_000;
/** About 4,500 tokens: more than MAX_CONTEXT_TOKENS has by default. */
const MAX_PROMPT_LENGTH = 16_000;

const text = z.string().check(z.trim(), z.minLength(1), z.maxLength(MAX_PROMPT_LENGTH));
const stored = z
  .strictObject({
    version: z.string().check(z.regex(/^[\w.-]{1,64}$/)),
    default: z.optional(text),
    platforms: z.optional(z.record(z.string().check(z.regex(/^[\w-]{1,64}$/)), text)),
  })
  .check(
    z.refine((prompts) => prompts.default !== undefined || Object.keys(prompts.platforms ?? {}).length > 0),
  );

/** Prompts in place of the built-in ones: of the platforms that are named, and of all others if there is a default. */
export type StoredPrompts = z.infer<typeof stored>;

/** @throws Error that says what is wrong, and repeats nothing of the text */
export function parsePrompts(json: string): StoredPrompts {
  if (json.length > MAX_LENGTH) throw new Error(`longer than ${MAX_LENGTH} characters`);
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch {
    throw new Error("not JSON");
  }
  const parsed = stored.safeParse(value);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  const field = ["version", "default", "platforms"].find((name) => name === issue?.path[0]);
  throw new Error(`${field ?? "the whole"}: ${issue?.code ?? "invalid"}`);
}

/** Undefined for a platform that they say nothing of. */
export function storedPromptFor(prompts: StoredPrompts, platform: string): Prompt | undefined {
  const { platforms = {}, version } = prompts;
  const text = Object.hasOwn(platforms, platform) ? platforms[platform] : prompts.default;
  return text === undefined ? undefined : { version, text };
}
