import type { MessageEntity } from "grammy/types";
import type { Run, Style, StyledText } from "./styled-text.ts";

const MARKS = ["bold", "italic", "strikethrough"] as const;
const CONTAINERS = ["quote", "pre", "code", "link"] as const;
type Mark = (typeof MARKS)[number];
type Container = (typeof CONTAINERS)[number];

/** Telegram's order of entities that share a range: the outer first. */
const ORDER = ["blockquote", "expandable_blockquote", "pre", "code", "text_link", ...MARKS];
/** A longer quotation is shown folded. */
const FOLDED_QUOTE = 600;

/**
 * The entities of `[start, end)`, with offsets from `start`, in the form to which Telegram itself brings them: a mark
 * ends where a container begins or ends and where another mark begins, so that what we count is what it counts.
 */
export function entitiesBetween({ text, runs }: StyledText, start: number, end: number): MessageEntity[] {
  const entities: MessageEntity[] = [];
  const open = new Map<Mark | Container, { from: number; style: Style }>();
  let before: Style = {};

  const close = (kind: Mark | Container, to: number) => {
    const span = open.get(kind);
    if (!span) return;
    open.delete(kind);
    const range = trimRange(text, span.from, to, kind === "pre" || kind === "quote");
    if (range.start >= range.end) return;
    const position = { offset: range.start - start, length: range.end - range.start };
    entities.push(toEntity(kind, span.style, position));
  };

  for (const { from, style } of runsBetween(runs, start, end)) {
    const crossed = CONTAINERS.some((kind) => style[kind] !== before[kind]);
    const marked = MARKS.some((kind) => style[kind] && !before[kind]);
    for (const kind of MARKS) if (crossed || marked || !style[kind]) close(kind, from);
    for (const kind of CONTAINERS) if (style[kind] !== before[kind]) close(kind, from);
    for (const kind of [...CONTAINERS, ...MARKS]) {
      if (style[kind] && !open.has(kind)) open.set(kind, { from, style });
    }
    before = style;
  }
  for (const kind of [...open.keys()]) close(kind, end);
  return entities.sort(
    (a, b) => a.offset - b.offset || b.length - a.length || ORDER.indexOf(a.type) - ORDER.indexOf(b.type),
  );
}

function toEntity(
  kind: Mark | Container,
  style: Style,
  position: { offset: number; length: number },
): MessageEntity {
  switch (kind) {
    case "quote":
      return { type: position.length > FOLDED_QUOTE ? "expandable_blockquote" : "blockquote", ...position };
    case "pre":
      return style.pre?.language
        ? { type: "pre", ...position, language: style.pre.language }
        : { type: "pre", ...position };
    case "link":
      return { type: "text_link", ...position, url: style.link?.url ?? "" };
    default:
      return { type: kind, ...position };
  }
}

function* runsBetween(runs: readonly Run[], start: number, end: number) {
  for (let index = runAt(runs, start); index < runs.length; index++) {
    const run = runs[index];
    if (!run || run.start >= end) return;
    yield { from: Math.max(run.start, start), style: run.style };
  }
}

/** The index of the run that holds `offset`. */
export function runAt(runs: readonly Run[], offset: number): number {
  let low = 0;
  let high = runs.length - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((runs[middle]?.end ?? 0) <= offset) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Without the whitespace at both ends; with `indented` the first line keeps its indentation. */
export function trimRange(
  text: string,
  start: number,
  end: number,
  indented: boolean,
): { start: number; end: number } {
  const slice = text.slice(start, end);
  const blank = indented
    ? (/^(?:[^\S\n]*\n)*/.exec(slice)?.[0].length ?? 0)
    : slice.length - slice.trimStart().length;
  return { start: start + blank, end: start + slice.trimEnd().length };
}
