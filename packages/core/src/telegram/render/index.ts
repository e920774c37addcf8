import { normalizeSource } from "./clean-text.ts";
import { composeDocument } from "./compose-document.ts";
import { type RenderedPart, splitIntoParts } from "./split.ts";
import { plainText } from "./styled-text.ts";
import { isTractable } from "./tractable.ts";

export type { RenderedPart };

/** Twice what 32,000 plain units need; past it the formatting costs the reader more than it gives. */
const MAX_PARTS = 20;

/**
 * A model's Markdown (CommonMark and GFM) as the messages that show it, in order; empty when nothing of it is visible.
 * Markdown that cannot be parsed in bounded time, or that would take very many messages, comes back as plain text.
 */
export async function renderMarkdown(markdown: string): Promise<RenderedPart[]> {
  const source = normalizeSource(markdown);
  if (!isTractable(source)) return plainParts(source);
  // Loaded at first use: commands and errors do without them, and so should a cold start.
  const { parseMarkdown } = await import("./parse-markdown.ts");
  const parts = splitIntoParts(composeDocument(parseMarkdown(source)));
  return parts.length > MAX_PARTS ? plainParts(source) : parts;
}

/** The text as it is, split to fit; empty when nothing of it is visible. */
export function plainParts(text: string): RenderedPart[] {
  return splitIntoParts(plainText(normalizeSource(text)));
}
