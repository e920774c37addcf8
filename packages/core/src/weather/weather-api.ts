import { boundedText } from "../bounded-text.ts";
import { parseJson } from "../json.ts";
import { retryAfterMs } from "../resilience/retry-after.ts";
import { isTransientStatus, UpstreamError } from "../resilience/upstream-error.ts";
import * as z from "../schema.ts";
import { type CurrentWeather, type Forecast, PlaceNotFoundError, type WeatherProvider } from "./types.ts";

const location = z.object({
  name: z.string(),
  region: z.string(),
  country: z.string(),
  tz_id: z.string(),
  localtime: z.string(),
});
const condition = z.object({ text: z.string() });
const currentBody = z.object({
  location,
  current: z.object({
    temp_c: z.number(),
    feelslike_c: z.number(),
    condition,
    humidity: z.number(),
    wind_kph: z.number(),
    wind_dir: z.string(),
  }),
});
const forecastBody = z.object({
  location,
  forecast: z.object({
    forecastday: z.array(
      z.object({
        date: z.string(),
        day: z.object({
          mintemp_c: z.number(),
          maxtemp_c: z.number(),
          condition,
          daily_chance_of_rain: z.coerce.number(),
        }),
      }),
    ),
  }),
});
const errorBody = z.object({ error: z.object({ code: z.number(), message: z.string() }) });

/** WeatherAPI.com's code for "no location found matching parameter q" (https://www.weatherapi.com/docs/#intro-error-codes). */
const NO_MATCHING_LOCATION = 1006;

/** A forecast of ten days, with the hours that we do not read, has about 200 KB. */
const MAX_BYTES = 2 * 1024 * 1024;

/** WeatherAPI.com (https://www.weatherapi.com/docs). */
export class WeatherApi implements WeatherProvider {
  readonly name = "weatherapi";
  readonly #baseUrl: string;
  readonly #key: string;

  constructor(options: { baseUrl: string; key: string }) {
    this.#baseUrl = options.baseUrl.replace(/\/+$/, "");
    this.#key = options.key;
  }

  async current(location: string, signal: AbortSignal): Promise<CurrentWeather> {
    const body = await this.#get("current.json", { q: location }, currentBody, signal);
    return {
      place: placeOf(body.location),
      localTime: body.location.localtime,
      temperatureC: body.current.temp_c,
      feelsLikeC: body.current.feelslike_c,
      condition: body.current.condition.text,
      humidity: body.current.humidity,
      windKph: body.current.wind_kph,
      windDirection: body.current.wind_dir,
    };
  }

  async forecast(location: string, days: number, signal: AbortSignal): Promise<Forecast> {
    const body = await this.#get("forecast.json", { q: location, days: String(days) }, forecastBody, signal);
    return {
      place: placeOf(body.location),
      days: body.forecast.forecastday.map(({ date, day }) => ({
        date,
        minC: day.mintemp_c,
        maxC: day.maxtemp_c,
        condition: day.condition.text,
        chanceOfRain: day.daily_chance_of_rain,
      })),
    };
  }

  async #get<T>(
    path: string,
    query: Record<string, string>,
    schema: z.ZodMiniType<T>,
    signal: AbortSignal,
  ): Promise<T> {
    const search = new URLSearchParams({ key: this.#key, ...query, aqi: "no" });
    let response: Response;
    let body: unknown;
    try {
      response = await fetch(`${this.#baseUrl}/${path}?${search}`, { signal });
      body = parseJson(await boundedText(response, MAX_BYTES, "WeatherAPI.com's answer"));
    } catch (cause) {
      if (cause instanceof UpstreamError) throw cause;
      // The cause of a failed fetch may name the URL, and the URL holds the key.
      const reason = cause instanceof Error ? cause.name : "unknown";
      throw new UpstreamError(`WeatherAPI.com did not answer (${reason})`, { transient: true });
    }
    if (!response.ok) throw failure(response, body);
    const parsed = schema.safeParse(body);
    if (!parsed.success) {
      throw new UpstreamError("WeatherAPI.com answered something else than weather", {
        transient: true,
        cause: parsed.error,
      });
    }
    return parsed.data;
  }
}

const placeOf = (from: z.infer<typeof location>) => ({
  name: from.name,
  region: from.region,
  country: from.country,
  timezone: from.tz_id,
});

function failure(response: Response, body: unknown): Error {
  const error = errorBody.safeParse(body).data?.error;
  if (error?.code === NO_MATCHING_LOCATION) return new PlaceNotFoundError(error.message);
  const { status } = response;
  const hint = status === 401 || status === 403 ? ": check WEATHER_API_KEY" : "";
  return new UpstreamError(`WeatherAPI.com answered ${status} (code ${error?.code ?? "none"})${hint}`, {
    transient: isTransientStatus(status),
    retryAfterMs: retryAfterMs(response.headers.get("retry-after"), Date.now()),
  });
}
