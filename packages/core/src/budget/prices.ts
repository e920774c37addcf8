import type { Usage } from "../assistant/chat-model.ts";
import { PRICE_FORMAT, type Price, parsePrice } from "./price.ts";

/**
 * The one table: standard tier, short context, OpenAI's list in November 2026
 * (https://developers.openai.com/api/docs/pricing). `MODEL_PRICE` and `FALLBACK_MODEL_PRICE` take precedence.
 */
const prices: Readonly<Record<string, Price>> = {
  "gpt-5.4": { input: 2.5, cached: 0.25, output: 15 },
  "gpt-5.4-mini": { input: 0.75, cached: 0.075, output: 4.5 },
  "gpt-5.4-nano": { input: 0.2, cached: 0.02, output: 1.25 },
  "gpt-6-sol": { input: 2, cached: 0.2, output: 10 },
  "gpt-6-luna": { input: 0.1, cached: 0.01, output: 0.5 },
};

/**
 * What a model's tokens cost: `setting` when it is given, else the list's, dated names like their model's; undefined for a
 * model that the list does not have. @throws for a setting that is none
 */
export function priceOf(model: string, setting?: string): Price | undefined {
  if (!setting) return prices[model.replace(/-\d{4}-\d\d-\d\d$/, "")];
  const price = parsePrice(setting);
  if (!price) throw new Error(`MODEL_PRICE is "${setting}", not ${PRICE_FORMAT}`);
  return price;
}

/** In billionths of a US dollar, rounded up. */
export const costOf = ({ input, cached, output }: Usage, price: Price): number =>
  Math.ceil(1_000 * ((input - cached) * price.input + cached * price.cached + output * price.output));
