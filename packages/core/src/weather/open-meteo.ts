import { boundedText } from "../bounded-text.ts";
import { parseJson } from "../json.ts";
import { retryAfterMs } from "../resilience/retry-after.ts";
import { isTransientStatus, UpstreamError } from "../resilience/upstream-error.ts";
import * as z from "../schema.ts";
import { providerTitles } from "./providers.ts";
import { type CurrentWeather, type Forecast, PlaceNotFoundError, type WeatherProvider } from "./types.ts";
import { wordsOf } from "./wmo-codes.ts";

/** Fields that are empty are left out. */
const name = z._default(z.string(), "");
const candidate = z.object({
  name: z.string(),
  latitude: z.number(),
  longitude: z.number(),
  country_code: name,
  country: name,
  admin1: name,
  admin2: name,
  admin3: name,
  admin4: name,
});
type Candidate = z.infer<typeof candidate>;
const searchBody = z.object({ results: z._default(z.array(candidate), []) });

/** Metric, or it is not what we asked for. Of its codes a server may say more than that they are the WMO's. */
const temperature = z.literal("°C");
const codes = z.string().check(z.startsWith("wmo code"));
const currentBody = z.object({
  timezone: z.string(),
  current_units: z.object({
    temperature_2m: temperature,
    apparent_temperature: temperature,
    relative_humidity_2m: z.literal("%"),
    wind_speed_10m: z.literal("km/h"),
    weather_code: codes,
  }),
  current: z.object({
    time: z.string().check(z.regex(/^\d{4}-\d\d-\d\dT\d\d:\d\d$/)),
    temperature_2m: z.number(),
    apparent_temperature: z.number(),
    relative_humidity_2m: z.number(),
    weather_code: z.number(),
    wind_speed_10m: z.number(),
    wind_direction_10m: z.number(),
  }),
});
const perDay = z.array(z.nullable(z.number()));
const forecastBody = z.object({
  timezone: z.string(),
  daily_units: z.object({
    temperature_2m_min: temperature,
    temperature_2m_max: temperature,
    weather_code: codes,
  }),
  daily: z.object({
    time: z.array(z.iso.date()),
    temperature_2m_min: perDay,
    temperature_2m_max: perDay,
    weather_code: perDay,
    precipitation_probability_max: perDay,
  }),
});
type Daily = z.infer<typeof forecastBody>["daily"];

/** A forecast of ten days has a kilobyte, a hundred places with their postcodes well under a hundred. */
const MAX_BYTES = 256 * 1024;
/** Places of one name: enough to find the one in the area that was said; the service's limit is 100. */
const FEW = 10;
const MANY = 100;

/** Open-Meteo (https://open-meteo.com/en/docs): it finds the place by name first, then asks for its coordinates. */
export class OpenMeteo implements WeatherProvider {
  readonly name = "open-meteo";
  readonly #forecastUrl: string;
  readonly #searchUrl: string;
  readonly #key: string | undefined;

  /** Both URLs end in `/v1` or what a server of one's own has in its place; `key` is a customer's. */
  constructor(options: { forecastUrl: string; geocodingUrl: string; key?: string | undefined }) {
    this.#forecastUrl = `${options.forecastUrl.replace(/\/+$/, "")}/forecast`;
    this.#searchUrl = `${options.geocodingUrl.replace(/\/+$/, "")}/search`;
    this.#key = options.key;
  }

  async current(location: string, signal: AbortSignal): Promise<CurrentWeather> {
    const place = await this.#find(location, signal);
    const variables = Object.keys(currentBody.shape.current.shape).filter((each) => each !== "time");
    const body = await this.#ask(place, { current: variables.join() }, currentBody, signal);
    const { current, current_units: units } = body;
    return {
      place: { ...place.named, timezone: body.timezone },
      localTime: current.time.replace("T", " "),
      temperatureC: current.temperature_2m,
      feelsLikeC: current.apparent_temperature,
      condition: condition(current.weather_code, units.weather_code),
      humidity: current.relative_humidity_2m,
      windKph: current.wind_speed_10m,
      windDirection: compassPoint(current.wind_direction_10m),
    };
  }

  async forecast(location: string, days: number, signal: AbortSignal): Promise<Forecast> {
    const place = await this.#find(location, signal);
    const variables = Object.keys(forecastBody.shape.daily.shape).filter((each) => each !== "time");
    const query = { daily: variables.join(), forecast_days: String(days) };
    const body = await this.#ask(place, query, forecastBody, signal);
    return {
      place: { ...place.named, timezone: body.timezone },
      days: daysOf(body.daily, body.daily_units.weather_code),
    };
  }

  /** Coordinates, which need no search, or the first place of that name in the region and country that were said. */
  async #find(location: string, signal: AbortSignal): Promise<Place> {
    const given = coordinatesOf(location);
    if (given) return given;
    const [first = "", ...areas] = location.split(",").map((part) => part.trim());
    // The service itself knows a region, a country and their abbreviations behind a comma; older servers of one's own
    // find nothing then.
    const found = await this.#search(location, FEW, signal);
    const others =
      found.length > 0 || areas.length === 0
        ? []
        : (await this.#search(first, MANY, signal)).filter((each) => liesIn(each, areas));
    const best = found.find((each) => liesIn(each, areas)) ?? found[0] ?? others[0];
    if (!best) throw new PlaceNotFoundError("no place of that name");
    const { latitude, longitude, admin1: region, country } = best;
    return { latitude, longitude, named: { name: best.name, region, country } };
  }

  async #search(name: string, count: number, signal: AbortSignal): Promise<Candidate[]> {
    const query = { name, count: String(count), language: "en", format: "json" };
    return (await this.#get(this.#searchUrl, query, searchBody, signal)).results;
  }

  #ask<T>(place: Place, query: Record<string, string>, schema: z.ZodMiniType<T>, signal: AbortSignal) {
    const { latitude, longitude } = place;
    const where = { latitude: String(latitude), longitude: String(longitude), timezone: "auto" };
    return this.#get(this.#forecastUrl, { ...where, ...query }, schema, signal);
  }

  async #get<T>(
    url: string,
    query: Record<string, string>,
    schema: z.ZodMiniType<T>,
    signal: AbortSignal,
  ): Promise<T> {
    const search = new URLSearchParams({ ...query, ...(this.#key && { apikey: this.#key }) });
    let body: unknown;
    try {
      const response = await fetch(`${url}?${search}`, { signal });
      if (!response.ok) {
        await response.body?.cancel();
        throw failure(response, this.#key !== undefined);
      }
      body = parseJson(await boundedText(response, MAX_BYTES, `${TITLE}'s answer`));
    } catch (cause) {
      if (cause instanceof UpstreamError) throw cause;
      // The cause of a failed fetch may name the URL, and the URL holds the place and the key.
      const reason = cause instanceof Error ? cause.name : "unknown";
      throw new UpstreamError(`${TITLE} did not answer (${reason})`, { transient: true });
    }
    const parsed = schema.safeParse(body);
    if (parsed.success) return parsed.data;
    throw new UpstreamError(`${TITLE} answered something else than weather`, {
      transient: true,
      cause: parsed.error,
    });
  }
}

const TITLE = providerTitles["open-meteo"];

type Place = {
  latitude: number;
  longitude: number;
  named: { name: string; region: string; country: string };
};

/** `lat,lon` in degrees. @throws PlaceNotFoundError for a pair that is nowhere on Earth */
function coordinatesOf(location: string): Place | undefined {
  const [, lat, lon] = /^\s*([-+]?\d{1,9}(?:\.\d+)?)\s*,\s*([-+]?\d{1,9}(?:\.\d+)?)\s*$/.exec(location) ?? [];
  if (lat === undefined || lon === undefined) return undefined;
  const [latitude, longitude] = [Number(lat), Number(lon)];
  if (Math.abs(latitude) > 90 || Math.abs(longitude) > 180) {
    throw new PlaceNotFoundError("no such coordinates");
  }
  return { latitude, longitude, named: { name: `${latitude}, ${longitude}`, region: "", country: "" } };
}

/** Whether a place lies in each of the areas: its country, the country's code, or an administrative area. */
function liesIn(place: Candidate, areas: readonly string[]): boolean {
  const { country, country_code, admin1, admin2, admin3, admin4 } = place;
  const own = new Set([country, country_code, admin1, admin2, admin3, admin4].map(fold));
  return areas.every((area) => own.has(fold(area)));
}

/** "Île-de-France" and "ile-de-france" are one name. */
const fold = (text: string) =>
  text
    .normalize("NFKD")
    .replace(/\p{M}+/gu, "")
    .toLowerCase()
    .trim();

const COMPASS = "N NNE NE ENE E ESE SE SSE S SSW SW WSW W WNW NW NNW".split(" ");
const compassPoint = (degrees: number) => COMPASS[Math.round(degrees / 22.5) % COMPASS.length] ?? "N";

/** `unit` is "wmo code", and whatever the server says of its codes beyond that: simulated ones say so. */
const condition = (code: number, unit: string) => wordsOf(code) + unit.replace(/^wmo code/, "");

/** A day whose weather the model cannot tell yet is left out. */
function daysOf(daily: Daily, unit: string): Forecast["days"] {
  return daily.time.flatMap((date, index) => {
    const minC = daily.temperature_2m_min[index] ?? undefined;
    const maxC = daily.temperature_2m_max[index] ?? undefined;
    const code = daily.weather_code[index] ?? undefined;
    const chanceOfRain = daily.precipitation_probability_max[index] ?? null;
    if (minC === undefined || maxC === undefined || code === undefined) return [];
    return [{ date, minC, maxC, condition: condition(code, unit), chanceOfRain }];
  });
}

function failure(response: Response, hasKey: boolean): UpstreamError {
  const { status } = response;
  // What it says itself is left out: it repeats what was asked.
  const hint = hasKey && [400, 401, 403].includes(status) ? ": check OPEN_METEO_API_KEY" : "";
  return new UpstreamError(`${TITLE} answered ${status}${hint}`, {
    transient: isTransientStatus(status),
    retryAfterMs: retryAfterMs(response.headers.get("retry-after"), Date.now()),
  });
}
