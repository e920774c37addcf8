import { graphemesOf } from "./graphemes.ts";

const NARROW = /^[\x20-\x7e]*$/;
const INVISIBLE = /^[\p{Cc}\p{Cf}\p{M}]+$/u;
const EMOJI = /^(?:\p{Emoji_Presentation}|\p{Regional_Indicator}|.*\ufe0f)/su;
const WIDE =
  /^[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}\p{Script=Bopomofo}\u3000-\u303e\uff01-\uff60\uffe0-\uffe6]/u;
const HALF_WIDTH = /^[\uff61-\uffdc]/;

/** Columns of a monospaced font that the text takes: ideographs and emoji two, marks on a letter none. */
export function displayWidth(text: string): number {
  if (NARROW.test(text)) return text.length;
  let width = 0;
  for (const { segment } of graphemesOf(text)) width += graphemeWidth(segment);
  return width;
}

function graphemeWidth(grapheme: string): number {
  if (INVISIBLE.test(grapheme)) return 0;
  if (HALF_WIDTH.test(grapheme)) return 1;
  return EMOJI.test(grapheme) || WIDE.test(grapheme) ? 2 : 1;
}
