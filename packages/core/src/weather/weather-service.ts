import type { Clock } from "../clock.ts";
import { AppError, isAppError } from "../error.ts";
import { Cache, type CacheRedis } from "../redis/cache.ts";
import { sha256 } from "../redis/keys.ts";
import { readThrough } from "../redis/read-through.ts";
import { CircuitOpenError, type CircuitStore } from "../resilience/circuit-breaker.ts";
import type { Deadline } from "../resilience/deadline.ts";
import type { RetryPolicy } from "../resilience/retry.ts";
import { UpstreamError } from "../resilience/upstream-error.ts";
import * as z from "../schema.ts";
import type { Telemetry } from "../telemetry.ts";
import { ProviderCalls } from "./provider-calls.ts";
import { type ProviderName, providerNames } from "./providers.ts";
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

/** What a provider told, as it is cached: whatever is served later says whose it is. */
type Told<T> = { provider: ProviderName; weather: T };
const told = <T>(weather: z.ZodMiniType<T>): z.ZodMiniType<Told<T>> =>
  z.object({ provider: z.enum(providerNames), weather });

/** Weather, whose it is and how old; `stale` when no provider could be asked for newer. */
export type Aged<T> = { value: T; provider: ProviderName; ageMs: number; stale: boolean };

type Ask<T> = (provider: WeatherProvider, signal: AbortSignal) => Promise<T>;

/**
 * Fresh cache, else the providers in their order, each behind retry and a circuit breaker of its own, else stale cache,
 * else `unavailable`. Never invented weather.
 * @throws AppError not_found for a place that does not exist, unavailable
 */
export class WeatherService {
  readonly #providers: readonly ProviderCalls[];
  readonly #caches: { current: Cache<Told<CurrentWeather>>; forecast: Cache<Told<Forecast>> };
  readonly #maxRetries: number;
  readonly #clock: Clock;
  readonly #telemetry: Telemetry;

  constructor(options: {
    /** In the order in which they are asked, each with the state of its own circuit. */
    providers: readonly { provider: WeatherProvider; circuit: CircuitStore }[];
    redis: CacheRedis;
    retryPolicy: RetryPolicy;
    /** Time limit of one call to a provider, in milliseconds. */
    callTimeoutMs: number;
    clock: Clock;
    telemetry: Telemetry;
  }) {
    const { providers, redis, retryPolicy, callTimeoutMs, clock, telemetry } = options;
    this.#providers = providers.map(
      (each) => new ProviderCalls({ ...each, retryPolicy, callTimeoutMs, clock, telemetry }),
    );
    this.#caches = {
      current: new Cache({ redis, schema: told(currentWeather), clock }),
      forecast: new Cache({ redis, schema: told(forecast), clock }),
    };
    this.#maxRetries = retryPolicy.maxRetries;
    this.#clock = clock;
    this.#telemetry = telemetry;
  }

  current(location: string, deadline: Deadline): Promise<Aged<CurrentWeather>> {
    return this.#get("current", this.#caches.current, location, deadline, (provider, signal) =>
      provider.current(location, signal),
    );
  }

  /** The next `days` days (1 to 10) by the place's own calendar, today first. */
  async forecast(location: string, days: number, deadline: Deadline): Promise<Aged<Forecast>> {
    // Always the longest forecast, so that "tomorrow" and "the next five days" share one cached answer.
    const found = await this.#get("forecast", this.#caches.forecast, location, deadline, (provider, signal) =>
      provider.forecast(location, MAX_FORECAST_DAYS, signal),
    );
    const { place, days: all } = found.value;
    const today = localDate(this.#clock.now(), place.timezone);
    return { ...found, value: { place, days: all.filter(({ date }) => date >= today).slice(0, days) } };
  }

  async #get<T>(
    kind: "current" | "forecast",
    cache: Cache<Told<T>>,
    location: string,
    deadline: Deadline,
    ask: Ask<T>,
  ): Promise<Aged<T>> {
    try {
      const { value, ...age } = await readThrough({
        cache,
        key: `weather:${kind}:${sha256(normalise(location))}`,
        freshMs: FRESH_MS[kind],
        staleMs: STALE_MS,
        lockMs: deadline.remaining() + LOCK_MARGIN_MS,
        // With a stale answer at hand one attempt is enough: nobody waits through retries for what we can show now.
        load: (lastResort) => this.#askInTurn(ask, lastResort ? this.#maxRetries : 0, deadline),
        // Found by nobody is found no more; a place that only one of them knows outlives its failure.
        isFinal: (error) => error instanceof UnknownPlaceError && error.failures.length === 0,
        deadline,
        telemetry: this.#telemetry,
        name: `weather-${kind}`,
      });
      const { provider, weather } = value;
      this.#telemetry.annotate({ provider });
      return { value: weather, provider, ...age };
    } catch (cause) {
      if (cause instanceof UnknownPlaceError) throw notFound(location, cause);
      if (!(cause instanceof UnavailableError)) throw cause;
      this.#telemetry.warn("weather is unavailable", { error: cause });
      throw new AppError("unavailable", "The weather service is unavailable right now.", { cause });
    }
  }

  /**
   * The first that answers. One that does not know a place leaves it to the next as well: each has a gazetteer of its
   * own, and a misspelt city costs one call more.
   */
  async #askInTurn<T>(ask: Ask<T>, maxRetries: number, deadline: Deadline): Promise<Told<T>> {
    const failures: unknown[] = [];
    let unknown = 0;
    for (const [index, provider] of this.#providers.entries()) {
      // An equal share of what is left: however slow the first is, the next has time to answer.
      const share = deadline.part(deadline.remaining() / (this.#providers.length - index));
      try {
        const weather = await provider.run(ask, { deadline: share, maxRetries });
        return { provider: provider.name, weather };
      } catch (error) {
        deadline.check();
        if (error instanceof PlaceNotFoundError) {
          unknown++;
          continue;
        }
        if (!isProvidersFault(error)) throw error;
        failures.push(error);
        if (error instanceof UpstreamError) {
          this.#telemetry.warn("a weather provider failed", { provider: provider.name, error });
        }
      }
    }
    throw unknown > 0 ? new UnknownPlaceError(failures) : new UnavailableError(failures);
  }
}

/** No answer; of all reasons the first. */
class UnavailableError extends Error {
  override readonly name = "UnavailableError";

  constructor(failures: readonly unknown[]) {
    super("no weather provider answered", { cause: failures[0] });
  }
}

/** No provider that answered knows the place; the others failed. */
class UnknownPlaceError extends Error {
  override readonly name = "UnknownPlaceError";
  readonly failures: readonly unknown[];

  constructor(failures: readonly unknown[]) {
    super("no weather provider knows the place");
    this.failures = failures;
  }
}

/** Its failure, its open circuit, or that its share of the time is over; the request's own time has been looked at. */
const isProvidersFault = (error: unknown) =>
  error instanceof UpstreamError ||
  error instanceof CircuitOpenError ||
  isAppError(error, "deadline_exceeded");

function notFound(location: string, cause: UnknownPlaceError): AppError {
  const doubt = cause.failures.length > 0 ? " Not every weather service could be asked." : "";
  return new AppError("not_found", `No place called ${JSON.stringify(location)} was found.${doubt}`, {
    cause,
  });
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
