import type { Price } from "./metrics.ts";

/** As packages/core/src/config.ts has it. */
export const DEFAULT_MODEL = "gpt-5.4-mini";

/**
 * US dollars for a million tokens, standard tier, short context: OpenAI's list in November 2026
 * (https://developers.openai.com/api/docs/pricing). `MODEL_PRICE` takes precedence.
 */
const prices: Readonly<Record<string, Price>> = {
  "gpt-5.4": { input: 2.5, cached: 0.25, output: 15 },
  "gpt-5.4-mini": { input: 0.75, cached: 0.075, output: 4.5 },
  "gpt-5.4-nano": { input: 0.2, cached: 0.02, output: 1.25 },
  "gpt-6-sol": { input: 2, cached: 0.2, output: 10 },
  "gpt-6-luna": { input: 0.1, cached: 0.01, output: 0.5 },
};

/**
 * What a model's tokens cost: `setting` ("0.75,0.075,4.5": input, cached input, output) when it is given, else the
 * list's, dated names like their model's; undefined for a model that the list does not have. @throws for another setting
 */
export function priceOf(model: string, setting?: string): Price | undefined {
  if (!setting) return prices[model.replace(/-\d{4}-\d\d-\d\d$/, "")];
  const numbers = setting.split(",").map((part) => (part.trim() === "" ? Number.NaN : Number(part)));
  const [input, cached, output, ...rest] = numbers;
  const valid = numbers.every((number) => Number.isFinite(number) && number >= 0);
  if (!valid || rest.length > 0 || input === undefined || cached === undefined || output === undefined) {
    throw new Error(
      `MODEL_PRICE is "${setting}", not input,cached,output in US dollars for a million tokens`,
    );
  }
  return { input, cached, output };
}
