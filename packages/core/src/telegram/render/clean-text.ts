/*
 * Telegram silently edits what it is sent: controls become spaces, bidi overrides, line separators and a few
 * combining lines vanish. The same is done here first, so that the offsets we count are those Telegram sees.
 */
const NEWLINES = /\r\n?|[\u2028\u2029]/g;
const DROPPED = /[\r\u2028-\u202e]|\u030a|\u0333|\u033f/g;
/** C0 without the newline. */
const CONTROLS = /[^\P{Cc}\n\x7f-\x9f]/gu;
const REPEATED_MARKS = /[\u200e\u200f](?=[\u200e\u200f])/g;
const VISIBLE = /[^\s\p{Cc}\p{Cf}\u115f\u1160\u2800\u3164\ufffc]/u;
const TAB = "    ";

/** Well-formed UTF-16 whose only line ending is `\n`. */
export function normalizeSource(text: string): string {
  return text.toWellFormed().replace(NEWLINES, "\n").replaceAll("\0", "");
}

/** Text as Telegram would store it. Tabs, one space to Telegram, become four inside preformatted text. */
export function cleanText(text: string, options: { preformatted: boolean }): string {
  const expanded = options.preformatted ? text.replaceAll("\t", TAB) : text;
  return expanded.replace(DROPPED, "").replace(CONTROLS, " ");
}

/** Of consecutive directional marks Telegram keeps the last. The length stays the same. */
export function calmDirectionMarks(text: string): string {
  return text.replace(REPEATED_MARKS, "\u200c");
}

/** False for what Telegram calls an empty message: whitespace and invisible characters alone. */
export function isVisible(text: string): boolean {
  return VISIBLE.test(text);
}
