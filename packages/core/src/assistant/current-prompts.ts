import { setTimeout } from "node:timers/promises";
import { type Clock, Pause } from "../clock.ts";
import type { Telemetry } from "../telemetry.ts";
import { type PromptStore, parsePrompts, type StoredPrompts, storedPromptFor } from "./prompt-store.ts";
import { type Prompt, promptFor } from "./prompts.ts";

const FRESH_MS = 5 * 60_000;
/** After a failure. */
const RETRY_MS = 30_000;
const READ_TIMEOUT_MS = 2_000;
const FIRST_WAIT_MS = 300;

/**
 * The prompts that are in force: the stored ones, read when they are needed and then every five minutes, else the built-in
 * ones. Only the first turn of an instance waits for them, and not for long; what was read serves while reading fails.
 */
export class CurrentPrompts {
  readonly #store: () => Promise<Pick<PromptStore, "read">>;
  readonly #fresh: Pause;
  readonly #telemetry: Pick<Telemetry, "warn">;
  readonly #firstWaitMs: number;
  #prompts: StoredPrompts | undefined;
  #reading: Promise<void> | undefined;
  #hasWaited = false;

  constructor(options: {
    store: () => Promise<Pick<PromptStore, "read">>;
    clock: Clock;
    telemetry: Pick<Telemetry, "warn">;
    /** How long the first turn waits, in milliseconds. */
    firstWaitMs?: number;
  }) {
    this.#store = options.store;
    this.#fresh = new Pause(options.clock);
    this.#telemetry = options.telemetry;
    this.#firstWaitMs = options.firstWaitMs ?? FIRST_WAIT_MS;
  }

  /** Never throws. */
  async promptFor(platform: string): Promise<Prompt> {
    if (this.#fresh.left() === 0) {
      this.#reading ??= this.#read().finally(() => {
        this.#reading = undefined;
      });
    }
    if (!this.#hasWaited && this.#reading) {
      const read = new AbortController();
      const waited = setTimeout(this.#firstWaitMs, undefined, { signal: read.signal }).catch(() => undefined);
      await Promise.race([this.#reading, waited]);
      read.abort();
      this.#hasWaited = true;
    }
    return this.known(platform);
  }

  /** By what is known at this moment. */
  known(platform: string): Prompt {
    return (this.#prompts && storedPromptFor(this.#prompts, platform)) ?? promptFor(platform);
  }

  async #read(): Promise<void> {
    let text: string | undefined;
    try {
      text = await (await this.#store()).read(AbortSignal.timeout(READ_TIMEOUT_MS));
    } catch (error) {
      this.#fresh.begin(RETRY_MS);
      this.#telemetry.warn("the stored prompts could not be read: what is known of them serves", {
        parameter: "prompts",
        error,
      });
      return;
    }
    this.#fresh.begin(FRESH_MS);
    try {
      this.#prompts = text === undefined ? undefined : parsePrompts(text);
    } catch (error) {
      this.#prompts = undefined;
      this.#telemetry.warn("the stored prompts cannot be used: the built-in ones serve", {
        parameter: "prompts",
        reason: (error as Error).message,
      });
    }
  }
}
