/** A sentence without its end mark. */
export type Sentence = { text: string; question: boolean };

/** A part of a statement; `afterComma` when nothing but a comma parts it from the one before. */
export type Clause = { text: string; afterComma: boolean };

/** Of a long message only so many characters of its beginning and of its end are analysed. */
const ANALYSED = 1_500;

const SENTENCE_END = /((?:[!?;…]|(?<!\bst)\.)+(?=[\s"')\]]|$)|[。？！]+|\n+)/i;

/** "... and what time is it", ", my dog is Rex": where another statement begins. */
const NEXT_STATEMENT =
  /(?:,(?:\s+(?:and|but|so|also|then))?|\s(?:and|but|so|also|then))\s+(?=(?:what|how|when|where|which|who|is|are|will|can|could|tell|do|does|show|give|remember|my|i)\b)/i;

/** "Paris, Madrid and Rome", but neither "41.38, 2.17" nor "Foo & Bar". */
const NEXT_CLAUSE = /(,(?=\s)(?!\s*[-+]?\d)|\s(?:and|also|or|then|plus)\s)/i;

/** The message as far as it is analysed: well formed, plain quotes, no direction marks. */
export function readable(text: string): string {
  const kept = text.length <= 2 * ANALYSED ? text : `${text.slice(0, ANALYSED)}\n${text.slice(-ANALYSED)}`;
  return kept
    .toWellFormed()
    .replace(/[\u200e\u200f\u202a-\u202e\u2066-\u2069]/g, "")
    .replace(/[‘’`´]/g, "'")
    .replace(/[“”]/g, '"')
    .replace(/[\r\n]+/g, "\n")
    .replace(/[^\S\n]+/g, " ");
}

export function sentences(text: string): Sentence[] {
  const parts = readable(text).split(SENTENCE_END);
  const found: Sentence[] = [];
  for (let index = 0; index < parts.length; index += 2) {
    const sentence = (parts[index] ?? "").trim();
    if (sentence !== "") found.push({ text: sentence, question: /[?？]/.test(parts[index + 1] ?? "") });
  }
  return found;
}

export function statements(sentence: string): string[] {
  return trimmed(sentence.split(NEXT_STATEMENT));
}

export function clauses(statement: string): Clause[] {
  const parts = statement.split(NEXT_CLAUSE);
  const found: Clause[] = [];
  for (let index = 0; index < parts.length; index += 2) {
    const text = (parts[index] ?? "").trim();
    if (text !== "") found.push({ text, afterComma: parts[index - 1] === "," });
  }
  return found;
}

function trimmed(parts: readonly string[]): string[] {
  return parts.map((part) => part.trim()).filter((part) => part !== "");
}
