const MARK = "\n[truncated]";

/** At most `max` UTF-16 units, the cut marked and never inside a surrogate pair. */
export function truncate(text: string, max: number, mark = MARK): string {
  if (text.length <= max) return text;
  const kept = text.slice(0, Math.max(0, max - mark.length)).replace(/[\uD800-\uDBFF]$/, "");
  return (kept + mark).slice(0, max);
}

const graphemes = new Intl.Segmenter(undefined, { granularity: "grapheme" });

/** At most `max` graphemes (what a reader calls a character) on one line, with an ellipsis where it was cut. */
export function shorten(text: string, max: number): string {
  const line = text.replace(/\s+/g, " ").trim();
  let count = 0;
  for (const { index } of graphemes.segment(line)) {
    if (++count === max) {
      const rest = line.slice(index);
      const last = [...graphemes.segment(rest)].length === 1;
      return last ? line : `${line.slice(0, index).trimEnd()}…`;
    }
  }
  return line;
}
