import type { Clock } from "../clock.ts";
import { AppError } from "../error.ts";
import { Cache, type CacheRedis } from "../redis/cache.ts";
import { sha256 } from "../redis/keys.ts";
import { readThrough } from "../redis/read-through.ts";
import {
  CircuitBreaker,
  CircuitOpenError,
  type CircuitStore,
  type Outcome,
} from "../resilience/circuit-breaker.ts";
import type { Deadline } from "../resilience/deadline.ts";
import { type RetryPolicy, retry } from "../resilience/retry.ts";
import { RetryBudget } from "../resilience/retry-budget.ts";
import { retryTransient, UpstreamError } from "../resilience/upstream-error.ts";
import type { Telemetry } from "../telemetry.ts";
import {
  type CurrentWeather,
  currentWeather,
  type Forecast,
  forecast,
  MAX_FORECAST_DAYS,
  PlaceNotFoundError,
  type WeatherProvider,
} from "./types.ts";

const HOUR_MS = 3_600_000;
const FRESH_MS = { current: HOUR_MS, forecast: 3 * HOUR_MS };
const STALE_MS = 24 * HOUR_MS;
/** So that a lock outlives the last attempt of its holder by the time of storing the answer. */
const LOCK_MARGIN_MS = 1_000;

/** Weather and how old it is; `stale` when the provider could not be asked for newer. */
export type Aged<T> = { value: T; ageMs: number; stale: boolean };

/**
 * Fresh cache, else the provider behind retry and circuit breaker, else stale cache, else `unavailable`.
 * Never invented weather. @throws AppError not_found for a place that does not exist, unavailable
 */
export class WeatherService {
  readonly #provider: WeatherProvider;
  readonly #breaker: CircuitBreaker;
  readonly #caches: { current: Cache<CurrentWeather>; forecast: Cache<Forecast> };
  readonly #retryPolicy: RetryPolicy;
  readonly #retryBudget: RetryBudget;
  readonly #callTimeoutMs: number;
  readonly #clock: Clock;
  readonly #telemetry: Telemetry;

  constructor(options: {
    provider: WeatherProvider;
    circuit: CircuitStore;
    redis: CacheRedis;
    retryPolicy: RetryPolicy;
    /** Time limit of one call to the provider, in milliseconds. */
    callTimeoutMs: number;
    clock: Clock;
    telemetry: Telemetry;
  }) {
    const { provider, redis, clock, telemetry } = options;
    this.#provider = provider;
    this.#breaker = new CircuitBreaker({
      name: provider.name,
      store: options.circuit,
      outcomeOf,
      clock,
      telemetry,
    });
    this.#caches = {
      current: new Cache({ redis, schema: currentWeather, clock }),
      forecast: new Cache({ redis, schema: forecast, clock }),
    };
    this.#retryPolicy = options.retryPolicy;
    this.#retryBudget = new RetryBudget({
      dependency: provider.name,
      reserve: options.retryPolicy.maxRetries,
      clock,
      telemetry,
    });
    this.#callTimeoutMs = options.callTimeoutMs;
    this.#clock = clock;
    this.#telemetry = telemetry;
  }

  current(location: string, deadline: Deadline): Promise<Aged<CurrentWeather>> {
    return this.#get("current", this.#caches.current, location, deadline, (signal) =>
      this.#provider.current(location, signal),
    );
  }

  /** The next `days` days (1 to 10) by the place's own calendar, today first. */
  async forecast(location: string, days: number, deadline: Deadline): Promise<Aged<Forecast>> {
    // Always the longest forecast, so that "tomorrow" and "the next five days" share one cached answer.
    const found = await this.#get("forecast", this.#caches.forecast, location, deadline, (signal) =>
      this.#provider.forecast(location, MAX_FORECAST_DAYS, signal),
    );
    const { place, days: all } = found.value;
    const today = localDate(this.#clock.now(), place.timezone);
    return { ...found, value: { place, days: all.filter(({ date }) => date >= today).slice(0, days) } };
  }

  async #get<T>(
    kind: "current" | "forecast",
    cache: Cache<T>,
    location: string,
    deadline: Deadline,
    ask: (signal: AbortSignal) => Promise<T>,
  ): Promise<Aged<T>> {
    let failure: unknown;
    const attempt = async () => {
      try {
        return await ask(deadline.within(this.#callTimeoutMs));
      } catch (error) {
        // Our own time ran out, which says nothing of the provider.
        deadline.check();
        failure = error;
        throw error;
      }
    };
    const call = (maxRetries: number) =>
      retry(() => this.#breaker.run(attempt), {
        policy: { ...this.#retryPolicy, maxRetries },
        deadline,
        verdict: retryTransient,
        budget: this.#retryBudget,
        onRetry: () => this.#telemetry.count("Retries", 1, { dependency: this.#provider.name }),
      });
    try {
      return await readThrough({
        cache,
        key: `weather:${kind}:${sha256(normalise(location))}`,
        freshMs: FRESH_MS[kind],
        staleMs: STALE_MS,
        lockMs: deadline.remaining() + LOCK_MARGIN_MS,
        // With a stale answer at hand one attempt is enough: nobody waits through retries for what we can show now.
        load: (lastResort) => call(lastResort ? this.#retryPolicy.maxRetries : 0),
        isFinal: (error) => error instanceof PlaceNotFoundError,
        deadline,
        telemetry: this.#telemetry,
        name: `weather-${kind}`,
      });
    } catch (cause) {
      if (cause instanceof PlaceNotFoundError) {
        throw new AppError("not_found", `No place called ${JSON.stringify(location)} was found.`, { cause });
      }
      if (cause instanceof UpstreamError || cause instanceof CircuitOpenError) {
        // That our own attempts opened the circuit says less than why they failed.
        this.#telemetry.warn("weather is unavailable", { error: failure ?? cause });
        throw new AppError("unavailable", "The weather service is unavailable right now.", { cause });
      }
      throw cause;
    }
  }
}

/** Only what says something about the provider: a misspelt city or a wrong key does not open the circuit. */
function outcomeOf(error: unknown): Outcome {
  return error instanceof UpstreamError && error.transient ? "failure" : "neutral";
}

const normalise = (location: string) => location.normalize("NFKC").trim().replace(/\s+/g, " ").toLowerCase();

/** `YYYY-MM-DD` at a place; UTC when the provider named a time zone that this runtime does not know. */
function localDate(now: number, timezone: string): string {
  try {
    return new Intl.DateTimeFormat("en-CA", { timeZone: timezone, dateStyle: "short" }).format(now);
  } catch {
    return new Date(now).toISOString().slice(0, 10);
  }
}
