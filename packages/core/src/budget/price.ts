/** US dollars for a million tokens; `cached` is of those of the input that the provider had in its prompt cache. */
export type Price = { input: number; cached: number; output: number };

/** Where `OPENAI_MODEL` says no other. */
export const DEFAULT_MODEL = "gpt-5.4-mini";

export const PRICE_FORMAT = "input,cached,output in US dollars for a million tokens";

/** "0.75,0.075,4.5": input, cached input, output. Undefined for anything else. */
export function parsePrice(text: string): Price | undefined {
  const numbers = text.split(",").map((part) => (part.trim() === "" ? Number.NaN : Number(part)));
  const [input, cached, output, ...rest] = numbers;
  const valid = numbers.every((number) => Number.isFinite(number) && number >= 0);
  if (!valid || rest.length > 0 || input === undefined || cached === undefined || output === undefined) {
    return undefined;
  }
  return { input, cached, output };
}
