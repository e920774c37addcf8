/*
 * The parser's time grows with the square of what is counted here, and its recursion with the depth of containers.
 * The limits are several times what a long, dense answer needs, and keep 32,000 units under about half a second.
 */
const MAX_SOURCE = 40_000;
const MAX_DEPTH = 50;
/** List markers, quote markers and footnotes. */
const MAX_CONTAINERS = 2500;
/** Lines that are neither blank nor code. */
const MAX_LINES = 2500;
const MAX_DELIMITERS = 6000;
/** The sum over blocks between blank lines of delimiters times length: each may be followed to the block's end. */
const MAX_INLINE_COST = 20_000_000;

const FENCE = /^(?:(`{3,})[^`]*|(~{3,}).*)$/;
const FENCE_OFF_MARGIN = /^(?![`~]{3}).*(?:```|~~~)/m;
const CONTAINERS = /^(?:[ \t]*(?:>|[-+*](?=[ \t]|$)|\d{1,9}[.)](?=[ \t]|$)|\[\^[^\]\s]+\]:))*/;
const CONTAINER = />|[-+*]|\d+[.)]|\[\^[^\]]+\]:/g;
const RULE = /^[ \t]*([-*])(?:[ \t]*\1){2,}[ \t]*$/;
const DELIMITERS = /\*+|_+|~+|`+|https?:|[[\]<&]/gi;

/** Whether the Markdown is certain to be parsed in bounded time and stack. `\n` is its only line ending. */
export function isTractable(source: string): boolean {
  if (source.length > MAX_SOURCE) return false;
  let containers = 0;
  let lines = 0;
  let delimiters = 0;
  let cost = 0;
  for (const block of markdownBlocks(source)) {
    let inBlock = 0;
    let length = 0;
    for (const line of block) {
      const depth = containersOf(line);
      if (depth > MAX_DEPTH) return false;
      containers += depth;
      inBlock += line.match(DELIMITERS)?.length ?? 0;
      length += line.length + 1;
    }
    lines += block.length;
    delimiters += inBlock;
    cost += inBlock * length;
  }
  return (
    containers <= MAX_CONTAINERS &&
    lines <= MAX_LINES &&
    delimiters <= MAX_DELIMITERS &&
    cost <= MAX_INLINE_COST
  );
}

/** The lines between blank lines and fences. */
function* markdownBlocks(source: string): Iterable<string[]> {
  let block: string[] = [];
  for (const line of markdownLines(source)) {
    if (line.trim() !== "") {
      block.push(line);
      continue;
    }
    yield block;
    block = [];
  }
  yield block;
}

/** Fenced code becomes one blank line; where a fence may belong to a list or a quote, none is told from the text. */
function* markdownLines(source: string): Iterable<string> {
  const lines = source.split("\n");
  if (FENCE_OFF_MARGIN.test(source)) return yield* lines;
  let open: string | undefined;
  for (const line of lines) {
    const match = FENCE.exec(line);
    const marker = match?.[1] ?? match?.[2];
    if (open === undefined) {
      open = marker;
      yield marker === undefined ? line : "";
    } else if (marker?.startsWith(open) && line.trim() === marker) {
      open = undefined;
    }
  }
}

function containersOf(line: string): number {
  if (RULE.test(line)) return 0;
  return CONTAINERS.exec(line)?.[0].match(CONTAINER)?.length ?? 0;
}
