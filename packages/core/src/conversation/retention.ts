import { type Clock, systemClock } from "../clock.ts";

const DAY_MS = 86_400_000;

/**
 * How long is kept what was said: each message for so many days, a conversation and a chat's whereabouts for as long after
 * their last message. The store removes by itself what is over, but late (DynamoDB within days, MongoDB within a minute),
 * so whoever reads leaves out what began before `since`.
 */
export class Retention {
  readonly #ms: number | undefined;
  readonly #clock: Clock;

  /** @param options `days` absent: for ever */
  constructor(options: { days: number | undefined; clock: Clock }) {
    this.#ms = options.days === undefined ? undefined : options.days * DAY_MS;
    this.#clock = options.clock;
  }

  /** What was said before this time is not there any more, in milliseconds since the epoch; 0: all is there. */
  get since(): number {
    return this.#ms === undefined ? 0 : Math.max(0, this.#clock.now() - this.#ms);
  }

  /** When what was said at `at` is to be removed, in milliseconds since the epoch; undefined: never. */
  endOf(at: number): number | undefined {
    return this.#ms === undefined ? undefined : at + this.#ms;
  }
}

export const forEver = new Retention({ days: undefined, clock: systemClock });
