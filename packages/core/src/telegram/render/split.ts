import type { MessageEntity } from "grammy/types";
import { calmDirectionMarks, isVisible } from "./clean-text.ts";
import { entitiesBetween, runAt, trimRange } from "./entities.ts";
import { graphemesOf } from "./graphemes.ts";
import type { Style, StyledText } from "./styled-text.ts";

/** One Telegram message: 1-4096 UTF-16 units, at most 100 entities, offsets and lengths in UTF-16 units. */
export type RenderedPart = { text: string; entities: MessageEntity[] };

const MAX_TEXT = 4096;
const MAX_ENTITIES = 100;

/** A stretch that one part can hold whole (a fence, a link, a bold phrase) and that is therefore never cut. */
type Atom = { start: number; end: number };

/** Where a part may end, the most welcome first. */
const ENDS: readonly { end: RegExp; insideCode: boolean; afterHeading: boolean }[] = [
  { end: /\n[^\S\n]*\n/g, insideCode: false, afterHeading: false },
  { end: /\n[^\S\n]*\n/g, insideCode: true, afterHeading: false },
  { end: /\n/g, insideCode: true, afterHeading: false },
  { end: /[.!?…]["'”’)\]]*\s+|[。！？]["'”’」』）]*/g, insideCode: false, afterHeading: true },
  { end: /[^\S\n]+|\n/g, insideCode: true, afterHeading: true },
];

/** The text as messages that fit, in order; empty when nothing of it is visible. */
export function splitIntoParts(styled: StyledText): RenderedPart[] {
  const atoms = atomsOf(styled);
  const parts: RenderedPart[] = [];
  let start = contentFrom(styled, 0);
  while (start < styled.text.length) {
    const end = endOfPart(styled, atoms, start);
    const text = styled.text.slice(start, end).trimEnd();
    if (isVisible(text)) {
      const entities = entitiesBetween(styled, start, start + text.length);
      parts.push({ text: calmDirectionMarks(text), entities });
    }
    start = contentFrom(styled, end);
  }
  return parts;
}

/** The first offset from `start` on that is worth sending: whitespace only where it indents a line of code. */
function contentFrom({ text, runs }: StyledText, start: number): number {
  for (let index = runAt(runs, start); index < runs.length; index++) {
    const run = runs[index];
    if (!run) break;
    const range = trimRange(text, Math.max(start, run.start), run.end, run.style.pre !== undefined);
    if (range.start < range.end) return range.start;
  }
  return text.length;
}

function atomsOf(styled: StyledText): Atom[] {
  const entities = entitiesBetween(styled, 0, styled.text.length);
  const atoms: Atom[] = [];
  for (const [index, { offset, length }] of entities.entries()) {
    const end = offset + length;
    if (end <= (atoms.at(-1)?.end ?? 0) || length > MAX_TEXT) continue;
    const next = entities.findIndex((inner, at) => at >= index && inner.offset >= end);
    if ((next < 0 ? entities.length : next) - index <= MAX_ENTITIES) atoms.push({ start: offset, end });
  }
  return atoms;
}

function endOfPart(styled: StyledText, atoms: readonly Atom[], start: number): number {
  const { text } = styled;
  const room = roomFrom(styled, start);
  if (room === text.length) return room;
  const atom = atomAround(atoms, room);
  const limit = atom && atom.start > start ? atom.start : room;
  // A part half full or more is worth a better end; a smaller one is not, unless a word would be cut.
  return (
    welcomeEnd(styled, atoms, start, start + (limit - start) / 2, limit) ??
    welcomeEnd(styled, atoms, start, start + 1, limit) ??
    graphemeEnd(text, start, limit)
  );
}

/** How far one part can reach from `start`: the whitespace that would be trimmed from its end is free. */
function roomFrom(styled: StyledText, start: number): number {
  const { text } = styled;
  let room = Math.min(start + MAX_TEXT, text.length);
  if (entitiesBetween(styled, start, room).length > MAX_ENTITIES) {
    let fits = start + 1;
    while (room - fits > 1) {
      const middle = (fits + room) >> 1;
      if (entitiesBetween(styled, start, middle).length > MAX_ENTITIES) room = middle;
      else fits = middle;
    }
    room = fits;
  }
  return room + (/^(?:\s*\n|\s+)/.exec(text.slice(room, room + MAX_TEXT))?.[0].length ?? 0);
}

/** The last offset in `[from, limit]` that the most welcome of ENDS offers. */
function welcomeEnd(
  styled: StyledText,
  atoms: readonly Atom[],
  start: number,
  from: number,
  limit: number,
): number | undefined {
  const { text } = styled;
  for (const { end, insideCode, afterHeading } of ENDS) {
    const matches = [...text.slice(start, limit).matchAll(end)].toReversed();
    for (const match of matches) {
      const first = start + match.index;
      const offset = first + match[0].length;
      if (offset < from) break;
      if (!insideCode && styleAt(styled, first).pre) continue;
      if (!afterHeading && first > start && styleAt(styled, first - 1).heading) continue;
      if (!atomAround(atoms, offset)) return offset;
    }
  }
  return undefined;
}

function graphemeEnd(text: string, start: number, limit: number): number {
  const around = graphemesOf(text.slice(start, limit + MAX_TEXT)).containing(limit - start);
  if (around === undefined || around.index > 0) return start + (around?.index ?? limit - start);
  // One character drawn with thousands of marks: at least no surrogate pair is cut.
  return /[\ud800-\udbff]/.test(text.charAt(limit - 1)) && limit - 1 > start ? limit - 1 : limit;
}

function atomAround(atoms: readonly Atom[], offset: number): Atom | undefined {
  let low = 0;
  let high = atoms.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((atoms[middle]?.end ?? 0) <= offset) low = middle + 1;
    else high = middle;
  }
  const atom = atoms[low];
  return atom && atom.start < offset ? atom : undefined;
}

function styleAt({ runs }: StyledText, offset: number): Style {
  return runs[runAt(runs, offset)]?.style ?? {};
}
