let segmenter: Intl.Segmenter | undefined;

/** What readers call characters. Made at first use: its data costs a cold start some milliseconds. */
export function graphemesOf(text: string): Intl.Segments {
  segmenter ??= new Intl.Segmenter(undefined, { granularity: "grapheme" });
  return segmenter.segment(text);
}
