import { cleanText } from "./clean-text.ts";

/** How a stretch of text looks. The objects are identities: two links are two even with the same address. */
export type Style = {
  readonly bold?: true;
  readonly italic?: true;
  readonly strikethrough?: true;
  readonly heading?: true;
  readonly code?: object;
  readonly pre?: { readonly language?: string };
  readonly link?: { readonly url: string };
  readonly quote?: object;
};

/** `[start, end)` in UTF-16 units. */
export type Run = { start: number; end: number; style: Style };

/** `runs` follow each other without a gap from the text's start to its end. */
export type StyledText = { text: string; runs: Run[] };

const PLAIN: Style = {};

export function plainText(source: string): StyledText {
  const builder = new StyledTextBuilder();
  builder.write(source, PLAIN);
  return builder.finish();
}

/** Text written from start to end; line breaks are asked for and appear when something follows them. */
export class StyledTextBuilder {
  #text = "";
  #prefix = "";
  #pending: { lines: number; style: Style } | undefined;
  readonly #runs: Run[] = [];

  get length(): number {
    return this.#text.length;
  }

  /** What was written from `offset` on. */
  since(offset: number): string {
    return this.#text.slice(offset);
  }

  /** While `write` runs, every line that begins outside preformatted text begins with `prefix`. */
  indent(prefix: string, write: () => void): void {
    const outer = this.#prefix;
    this.#prefix = prefix;
    write();
    this.#prefix = outer;
  }

  get prefix(): string {
    return this.#prefix;
  }

  /** What is written next begins at least `lines` lines lower. Breaks asked for in a row are one, the largest. */
  breakLine(lines: number, style: Style): void {
    const pending = this.#pending;
    // A break between two containers belongs to neither.
    const shared = !pending || pending.style.quote === style.quote ? style : PLAIN;
    this.#pending = { lines: Math.max(lines, pending?.lines ?? 0), style: quoteOnly(shared) };
  }

  write(value: string, style: Style): void {
    const clean = cleanText(value, { preformatted: style.pre !== undefined });
    if (clean === "") return;
    if (this.#pending && this.#text !== "") {
      const { lines, style: between } = this.#pending;
      this.#append("\n".repeat(lines) + this.#prefix, between);
    }
    this.#pending = undefined;
    this.#append(style.pre ? clean : clean.replaceAll("\n", `\n${this.#prefix}`), style);
  }

  finish(): StyledText {
    return { text: this.#text, runs: this.#runs };
  }

  #append(text: string, style: Style): void {
    const start = this.#text.length;
    this.#text += text;
    const last = this.#runs.at(-1);
    if (last?.style === style) last.end = this.#text.length;
    else this.#runs.push({ start, end: this.#text.length, style });
  }
}

function quoteOnly({ quote }: Style): Style {
  return quote ? { quote } : PLAIN;
}
