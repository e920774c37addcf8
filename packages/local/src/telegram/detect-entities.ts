import type { MessageEntity } from "./types.ts";

type Pattern = { type: string; pattern: RegExp };

// As TDLib finds them, with a plainer notion of what is a URL without a scheme.
const PATTERNS: readonly Pattern[] = [
  {
    type: "mention",
    pattern: /(?<![\p{L}\p{N}_])@(?:[A-Za-z0-9_]{4,32}|gif|nft|pic|ufc|vid)(?![\p{L}\p{N}_])/giu,
  },
  {
    type: "bot_command",
    pattern: /(?<![\p{L}\p{N}_/<>])\/[A-Za-z0-9_]{1,64}(?:@[A-Za-z0-9_]{3,32})?(?![\p{L}\p{N}_/<>@])/gu,
  },
  {
    type: "hashtag",
    pattern: /(?<![\p{L}\p{N}_#@])#(?=[\p{N}_]*\p{L})[\p{L}\p{N}_]{1,256}(?![\p{L}\p{N}_#])/gu,
  },
  {
    type: "email",
    pattern: /(?<![\p{L}\p{N}_.+-])[\w.+-]{1,64}@(?:[a-z0-9-]+\.)+[a-z]{2,24}(?![\p{L}\p{N}_])/giu,
  },
  { type: "url", pattern: /(?<![\p{L}\p{N}_@.])(?:https?|tg):\/\/[^\s<>"«»]+/giu },
  {
    type: "url",
    pattern:
      /(?<![\p{L}\p{N}_@./:])(?:[\p{L}\p{N}-]+\.)+(?:com|org|net|io|dev|me|info|app|edu|gov|co|uk|de|es|fr|it|ru|cat|ai)(?::\d+)?(?:[/?#][^\s<>"«»]*)?(?![\p{L}\p{N}_@])/giu,
  },
];

/** The commands, mentions, hashtags, links and addresses in a text, in order and apart from each other. */
export function detectEntities(text: string): MessageEntity[] {
  const found = PATTERNS.flatMap(({ type, pattern }) =>
    [...text.matchAll(pattern)].map((match) => {
      const matched = type === "url" ? withoutTrailingPunctuation(match[0]) : match[0];
      return { type, offset: match.index, length: matched.length };
    }),
  );
  found.sort((one, other) => one.offset - other.offset || other.length - one.length);
  let end = 0;
  return found.filter(({ offset, length }) => {
    if (offset < end || length === 0) return false;
    end = offset + length;
    return true;
  });
}

function withoutTrailingPunctuation(url: string): string {
  const bare = url.replace(/[.,:;!?'"`…\]]+$/u, "");
  // A bracket belongs to the link only when it was opened in it.
  return bare.endsWith(")") && !bare.includes("(") ? withoutTrailingPunctuation(bare.slice(0, -1)) : bare;
}
