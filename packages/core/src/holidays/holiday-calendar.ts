import { boundedText } from "../bounded-text.ts";
import type { Clock } from "../clock.ts";
import { AppError, isAppError } from "../error.ts";
import { Cache, type CacheRedis } from "../redis/cache.ts";
import { sha256 } from "../redis/keys.ts";
import { readThrough } from "../redis/read-through.ts";
import type { Deadline } from "../resilience/deadline.ts";
import { type RetryPolicy, retry } from "../resilience/retry.ts";
import { retryAfterMs } from "../resilience/retry-after.ts";
import { RetryBudget } from "../resilience/retry-budget.ts";
import { isTransientStatus, retryTransient, UpstreamError } from "../resilience/upstream-error.ts";
import * as z from "../schema.ts";
import type { Telemetry } from "../telemetry.ts";
import { type Holiday, holiday, parseCalendar } from "./parse-calendar.ts";

const DAY_MS = 86_400_000;
const STALE_MS = 7 * DAY_MS;
const YEAR_MS = 366 * DAY_MS;
const MAX_BYTES = 2 * 1024 * 1024;

/** The public holidays of one iCalendar link, from two years back to three ahead, cached for all instances. */
export class HolidayCalendar {
  readonly #link: string | undefined;
  readonly #cache: Cache<Holiday[]>;
  readonly #freshMs: number;
  readonly #retryPolicy: RetryPolicy;
  readonly #retryBudget: RetryBudget;
  readonly #callTimeoutMs: number;
  readonly #clock: Clock;
  readonly #telemetry: Telemetry;

  constructor(options: {
    /** http(s) or webcal URL; without one every question answers that none is configured. */
    link: string | undefined;
    redis: CacheRedis;
    freshMs: number;
    retryPolicy: RetryPolicy;
    /** Time limit of one download, in milliseconds. */
    callTimeoutMs?: number;
    clock: Clock;
    telemetry: Telemetry;
  }) {
    this.#link = options.link?.replace(/^webcal:/i, "https:");
    this.#cache = new Cache({ redis: options.redis, schema: z.array(holiday), clock: options.clock });
    this.#freshMs = options.freshMs;
    this.#retryPolicy = options.retryPolicy;
    this.#retryBudget = new RetryBudget({
      dependency: "holidays",
      reserve: options.retryPolicy.maxRetries,
      clock: options.clock,
      telemetry: options.telemetry,
    });
    this.#callTimeoutMs = options.callTimeoutMs ?? 5_000;
    this.#clock = options.clock;
    this.#telemetry = options.telemetry;
  }

  /**
   * Holidays with a day in [`from`, `before`), both `YYYY-MM-DD`, in order of date.
   * @throws AppError failed_precondition without a link; unavailable when the calendar cannot be read
   */
  async between(from: string, before: string, deadline: Deadline): Promise<Holiday[]> {
    const link = this.#link;
    if (!link) {
      throw new AppError(
        "failed_precondition",
        "No holiday calendar is configured (HOLIDAY_CALENDAR_LINK). Ask which country's holidays are meant, and give it as country.",
      );
    }
    try {
      const { value } = await readThrough({
        cache: this.#cache,
        key: `holidays:${sha256(link)}`,
        freshMs: this.#freshMs,
        staleMs: Math.max(STALE_MS, this.#freshMs),
        lockMs: deadline.remaining() + 1_000,
        // With a stale calendar at hand nobody waits through retries.
        load: (lastResort) => this.#load(link, lastResort ? this.#retryPolicy.maxRetries : 0, deadline),
        isFinal: (error) => isAppError(error, "deadline_exceeded"),
        deadline,
        telemetry: this.#telemetry,
        name: "holidays",
      });
      return value.filter(({ date, lastDate }) => lastDate >= from && date < before);
    } catch (cause) {
      if (!(cause instanceof UpstreamError)) throw cause;
      this.#telemetry.warn("the holiday calendar is unavailable: check HOLIDAY_CALENDAR_LINK", {
        error: cause,
      });
      throw new AppError("unavailable", "The holiday calendar is unavailable right now.", { cause });
    }
  }

  async #load(link: string, maxRetries: number, deadline: Deadline): Promise<Holiday[]> {
    const text = await retry(() => this.#download(link, deadline.within(this.#callTimeoutMs)), {
      policy: { ...this.#retryPolicy, maxRetries },
      deadline,
      verdict: retryTransient,
      budget: this.#retryBudget,
      onRetry: () => this.#telemetry.count("Retries", 1, { dependency: "holidays" }),
    });
    const now = this.#clock.now();
    try {
      return await parseCalendar(text, isoDate(now - 2 * YEAR_MS), isoDate(now + 3 * YEAR_MS));
    } catch (cause) {
      throw new UpstreamError("the link does not lead to an iCalendar file", { transient: false, cause });
    }
  }

  async #download(link: string, signal: AbortSignal): Promise<string> {
    try {
      const response = await fetch(link, { signal, headers: { accept: "text/calendar, */*;q=0.1" } });
      if (!response.ok) {
        const { status } = response;
        await response.body?.cancel();
        throw new UpstreamError(`the calendar's host answered ${status}`, {
          transient: isTransientStatus(status),
          retryAfterMs: retryAfterMs(response.headers.get("retry-after"), this.#clock.now()),
        });
      }
      return await boundedText(response, MAX_BYTES, "the calendar");
    } catch (cause) {
      if (cause instanceof UpstreamError) throw cause;
      throw new UpstreamError("the calendar's host did not answer", { transient: true, cause });
    }
  }
}

const isoDate = (at: number) => new Date(at).toISOString().slice(0, 10);
