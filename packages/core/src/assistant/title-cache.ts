import type { Clock } from "../clock.ts";
import { Cache, type CacheRedis } from "../redis/cache.ts";
import { sha256 } from "../redis/keys.ts";
import * as z from "../schema.ts";
import { titlePrompt } from "./prompts.ts";

/** Titles under the hash of the message that they are of, and of the model that made them. */
export class TitleCache {
  readonly #cache: Cache<string>;
  readonly #model: string;
  readonly #ttlMs: number | undefined;

  /** @param options `ttlMs` absent: they are kept for good */
  constructor(options: { redis: CacheRedis; model: string; ttlMs: number | undefined; clock: Clock }) {
    const { redis, clock } = options;
    this.#cache = new Cache({ redis, schema: z.string().check(z.minLength(1)), clock });
    this.#model = options.model;
    this.#ttlMs = options.ttlMs;
  }

  async read(message: string): Promise<string | undefined> {
    return (await this.#cache.read(this.#key(message)))?.value;
  }

  write(message: string, title: string): Promise<void> {
    return this.#cache.write(this.#key(message), title, this.#ttlMs ? { ttlMs: this.#ttlMs } : {});
  }

  /** Those of these messages; without Redis they stay, as long as they are kept. */
  forget(messages: readonly string[]): Promise<void> {
    return this.#cache.remove(messages.map((message) => this.#key(message)));
  }

  #key(message: string): string {
    return `title:${sha256([this.#model, titlePrompt.version, message].join("\n"))}`;
  }
}
