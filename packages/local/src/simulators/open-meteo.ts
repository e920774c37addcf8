import { type City, cityAt, countryCode, findCity, isCountry, isRegion } from "./cities.ts";
import type { Fault } from "./faults.ts";
import { type Host, type HostRequest, json, type Reply, startHost } from "./http.ts";
import { addDays, wallClock } from "./local-time.ts";
import { type Condition, type Day, dayAt, hourOf, localHour } from "./weather/climate.ts";

export type OpenMeteoSimulator = {
  /** Ends in `/v1`, as the real base does: forecasts and the search for places are on one server here. */
  url: string;
  inject(fault: Fault): () => void;
} & Pick<Host, "origin" | "requests" | "total" | "reset" | "close">;

const SEARCH = "/v1/search";
const FORECAST = "/v1/forecast";
const MAX_DAYS = 16;
const USUAL_DAYS = 7;
const QUARTER_MS = 15 * 60_000;

/** A fault's `code` for a search that finds nothing, which is no error in this protocol: what is empty is left out. */
const NO_PLACE = "no_place";
const NOTHING_FOUND = { generationtime_ms: 0.5 };

/** WMO codes of `climate.ts`'s conditions, which are WeatherAPI.com's. */
const WMO: Readonly<Record<number, number>> = {
  1000: 0,
  1003: 2,
  1006: 3,
  1009: 3,
  1030: 45,
  1063: 80,
  1087: 95,
  1183: 61,
  1189: 63,
  1213: 71,
  1219: 73,
};

type Variable<T> = { unit: string; value: (from: T) => number };
type Now = { day: Day; hour: ReturnType<typeof hourOf> };
const CODES = "wmo code (simulated)";

const CURRENT: Readonly<Record<string, Variable<Now>>> = {
  temperature_2m: { unit: "°C", value: ({ hour }) => hour.temperature },
  apparent_temperature: { unit: "°C", value: ({ hour }) => hour.feelsLike },
  relative_humidity_2m: { unit: "%", value: ({ day }) => day.humidity },
  is_day: { unit: "", value: ({ hour }) => (hour.daytime ? 1 : 0) },
  weather_code: { unit: CODES, value: ({ day }) => codeOf(day.condition) },
  wind_speed_10m: { unit: "km/h", value: ({ hour }) => hour.wind },
  wind_direction_10m: { unit: "°", value: ({ day }) => day.windDegree },
};
const DAILY: Readonly<Record<string, Variable<Day>>> = {
  temperature_2m_min: { unit: "°C", value: ({ low }) => low },
  temperature_2m_max: { unit: "°C", value: ({ high }) => high },
  weather_code: { unit: CODES, value: ({ condition }) => codeOf(condition) },
  precipitation_probability_max: {
    unit: "%",
    value: ({ rainChance, snowChance }) => Math.max(rainChance, snowChance),
  },
  precipitation_sum: { unit: "mm", value: ({ precipitation }) => precipitation },
};

/**
 * Speaks Open-Meteo's protocol, its search for places included, for the cities of `cities.ts`, and at any coordinates. The
 * weather is that of the simulated WeatherAPI.com, and the unit of every weather code says "(simulated)". An `apikey` that
 * begins with `bad` is invalid. With `areas: false` the search is that of older servers, which find nothing with a comma.
 */
export async function startOpenMeteo(
  options: { port?: number | undefined; now?: (() => Date) | undefined; areas?: boolean } = {},
): Promise<OpenMeteoSimulator> {
  const { now = () => new Date(), areas = true } = options;
  const host = await startHost({
    port: options.port,
    answer: (request) => answer(request, now(), areas),
    fail: ({ status, code, message }) =>
      code === NO_PLACE ? json(200, NOTHING_FOUND) : refused(message ?? "Internal server error.", status),
    malformed: { ...json(200, null), body: '{"latitude":41.375,"longitude":2.125,"generationtime_ms":' },
  });
  return { ...host, url: `${host.origin}/v1` };
}

function answer({ path, query }: HostRequest, now: Date, areas: boolean): Reply {
  if (query.get("apikey")?.startsWith("bad")) return refused("The supplied API key is invalid.");
  if (path === SEARCH) return search(query, areas);
  return path === FORECAST ? forecast(query, now) : refused("Not Found", 404);
}

const refused = (reason: string, status = 400) => json(status, { error: true, reason });

/** As the service itself: of what follows the name the first area counts, and one that nobody knows does not. */
function search(query: URLSearchParams, areas: boolean): Reply {
  const count = Number(query.get("count") ?? "10");
  if (!(Number.isInteger(count) && count >= 1 && count <= 100))
    return refused("Parameter count must be between 1 and 100.");
  const [name = "", area = ""] = (query.get("name") ?? "").split(",").map((part) => part.trim());
  const known = areas && (isRegion(area) || isCountry(area));
  const asked = areas ? (known ? `${name},${area}` : name) : (query.get("name") ?? "");
  const city = name.length < 2 || (!areas && asked.includes(",")) ? undefined : findCity(asked);
  return json(200, city ? { results: [found(city)], ...NOTHING_FOUND } : NOTHING_FOUND);
}

function found(city: City) {
  return {
    id: Math.round((city.lat + 90) * 1e6),
    name: city.name,
    latitude: city.lat,
    longitude: city.lon,
    elevation: 10,
    feature_code: "PPL",
    ...(countryCode(city.country) && { country_code: countryCode(city.country) }),
    timezone: city.timeZone,
    country: city.country,
    admin1: city.region,
  };
}

function forecast(query: URLSearchParams, now: Date): Reply {
  const latitude = numberOf(query, "latitude");
  const longitude = numberOf(query, "longitude");
  if (latitude === undefined || longitude === undefined)
    return refused("Parameter 'latitude' and 'longitude' must have the same number of elements");
  if (Math.abs(latitude) > 90) return refused(`Latitude must be in range of -90 to 90°. Given: ${latitude}.`);
  if (Math.abs(longitude) > 180)
    return refused(`Longitude must be in range of -180 to 180°. Given: ${longitude}.`);
  const length = Number(query.get("forecast_days") ?? USUAL_DAYS);
  if (!(Number.isInteger(length) && length >= 0 && length <= MAX_DAYS))
    return refused(
      `Forecast days is invalid. Allowed range 0 to ${MAX_DAYS}. Given ${query.get("forecast_days")}.`,
    );
  const current = listed(query, "current");
  const daily = listed(query, "daily");
  const unknown = [
    ...current.filter((each) => !Object.hasOwn(CURRENT, each)),
    ...daily.filter((each) => !Object.hasOwn(DAILY, each)),
  ];
  if (unknown.length > 0)
    return refused(`Data corrupted at path ''. Cannot initialize from invalid String value ${unknown[0]}.`);
  const asked = query.get("timezone") ?? "GMT";
  const city = cityAt(latitude, longitude);
  const timezone = asked === "auto" ? city.timeZone : asked;
  const today = wallClock(now, timezone).date;
  const days = Array.from({ length }, (_, offset) => dayAt(city, addDays(today, offset)));
  return json(200, {
    latitude,
    longitude,
    generationtime_ms: 0.1,
    timezone,
    timezone_abbreviation: timezone,
    elevation: 10,
    ...(current.length > 0 && currentOf(city, current, now, timezone)),
    ...(daily.length > 0 && {
      daily_units: { time: "iso8601", ...unitsOf(DAILY, daily) },
      daily: { time: days.map(({ date }) => date), ...valuesOf(DAILY, daily, (value) => days.map(value)) },
    }),
  });
}

/** Of the quarter of an hour under way. */
function currentOf(city: City, asked: readonly string[], now: Date, timezone: string) {
  const { date, time } = wallClock(new Date(Math.floor(now.getTime() / QUARTER_MS) * QUARTER_MS), timezone);
  const local = localHour(city, now);
  const day = dayAt(city, local.date);
  const at = { day, hour: hourOf(day, local.hour) };
  return {
    current_units: { time: "iso8601", interval: "seconds", ...unitsOf(CURRENT, asked) },
    current: {
      time: `${date}T${time}`,
      interval: QUARTER_MS / 1000,
      ...valuesOf(CURRENT, asked, (value) => value(at)),
    },
  };
}

function unitsOf<T>(variables: Readonly<Record<string, Variable<T>>>, asked: readonly string[]) {
  return Object.fromEntries(asked.map((each) => [each, variables[each]?.unit]));
}

function valuesOf<T, V>(
  variables: Readonly<Record<string, Variable<T>>>,
  asked: readonly string[],
  read: (value: Variable<T>["value"]) => V,
) {
  return Object.fromEntries(asked.map((each) => [each, read((variables[each] as Variable<T>).value)]));
}

const listed = (query: URLSearchParams, name: string) =>
  query.getAll(name).flatMap((part) => part.split(",").filter(Boolean));

function numberOf(query: URLSearchParams, name: string): number | undefined {
  const text = query.get(name)?.trim() ?? "";
  return text === "" || Number.isNaN(Number(text)) ? undefined : Number(text);
}

const codeOf = ({ code }: Condition): number => WMO[code] ?? 3;
