import type { MessageEntity } from "./types.ts";

export type FormattedText = { text: string; entities: MessageEntity[] };

/**
 * What Telegram makes of a text before it stores it: control characters become spaces; carriage returns, U+2028 to
 * U+202E and three combining lines go; white space at both ends goes, in front only up to the first entity. Entities
 * keep what they cover, and go when nothing of it is left.
 */
export function cleanText({ text, entities }: FormattedText): FormattedText {
  const { cleaned, positions } = clean(text);
  const end = lengthWithoutSpaceAtEnd(cleaned);
  const kept = entities
    .map((entity) => {
      const start = positions[entity.offset] ?? cleaned.length;
      const stop = Math.min(positions[entity.offset + entity.length] ?? cleaned.length, end);
      return { ...entity, offset: start, length: stop - start };
    })
    .filter(({ length }) => length > 0);
  const firstEntity = Math.min(end, ...kept.map(({ offset }) => offset));
  const start = Math.min(cleaned.search(/[^ \n]|$/), firstEntity);
  return {
    text: cleaned.slice(start, end),
    entities: kept.map((entity) => ({ ...entity, offset: entity.offset - start })),
  };
}

/** Invisible characters alone do not make a message. */
export const isBlank = (text: string) =>
  /^[\s\u1680\u180e\u2000-\u200f\u202e\u202f\u205f\u2800\u3000\ufeff\ufffc\u{e0000}-\u{e01ff}]*$/u.test(text);

/** `positions[i]` is where the UTF-16 unit at i has gone, or what follows it when it was removed. */
function clean(text: string): { cleaned: string; positions: number[] } {
  const positions: number[] = [];
  let cleaned = "";
  for (let index = 0; index < text.length; index += 1) {
    positions.push(cleaned.length);
    const unit = text.charCodeAt(index);
    if (unit === 0x0d || (unit >= 0x2028 && unit <= 0x202e)) continue;
    if (unit === 0x0333 || unit === 0x033f || unit === 0x030a) continue;
    cleaned += unit <= 0x20 && unit !== 0x0a ? " " : text.charAt(index);
  }
  positions.push(cleaned.length);
  return { cleaned, positions };
}

function lengthWithoutSpaceAtEnd(text: string): number {
  let end = text.length;
  while (end > 0 && (text[end - 1] === " " || text[end - 1] === "\n")) end -= 1;
  return end;
}
