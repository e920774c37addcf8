import type { Spender } from "../budget/budgets.ts";
import type { Deadline } from "../resilience/deadline.ts";
import type { Telemetry } from "../telemetry.ts";
import { shorten } from "../text.ts";
import type { Models } from "./models.ts";
import { titlePrompt } from "./prompts.ts";
import type { TitleCache } from "./title-cache.ts";

const MAX_GRAPHEMES = 60;
const TIMEOUT_MS = 8_000;

/** Titles of conversations, cached under the hash of the first message. */
export class Titles {
  readonly #models: Pick<Models, "open">;
  readonly #cache: TitleCache;
  readonly #telemetry: Telemetry;

  constructor(options: { models: Pick<Models, "open">; cache: TitleCache; telemetry: Telemetry }) {
    this.#models = options.models;
    this.#cache = options.cache;
    this.#telemetry = options.telemetry;
  }

  /** A title for a conversation that begins with `message`. Never throws: the beginning of the message will do. */
  async title(message: string, asked: { spender: Spender; deadline: Deadline }): Promise<string> {
    try {
      return await this.#telemetry.step("title", async () => {
        const cached = await this.#cache.read(message);
        this.#telemetry.count(cached ? "CacheHits" : "CacheMisses", 1, { cache: "title" });
        this.#telemetry.annotate({ cache: cached ? "hit" : "miss" });
        if (cached) return cached;
        const title = await this.#ask(message, asked);
        await this.#cache.write(message, title);
        return title;
      });
    } catch (error) {
      this.#telemetry.warn("no title from the model: the message's beginning serves", { error });
      return shorten(message, MAX_GRAPHEMES);
    }
  }

  async #ask(message: string, { spender, deadline }: Parameters<Titles["title"]>[1]): Promise<string> {
    // Nobody waits through retries for a title.
    const ask = this.#models.open({ spender, deadline: deadline.part(TIMEOUT_MS), maxRetries: 0 });
    const { text } = await ask({
      instructions: titlePrompt.text,
      items: [{ type: "message", role: "user", content: message }],
      tools: [],
      toolChoice: "none",
    });
    const title = shorten(text.trim().replace(/^["'“«]+|["'”».]+$/g, ""), MAX_GRAPHEMES);
    if (!title) throw new Error("the model gave an empty title");
    return title;
  }
}
