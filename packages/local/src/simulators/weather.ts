import { type City, findCity } from "./cities.ts";
import type { Fault } from "./faults.ts";
import { type Host, type HostRequest, json, type Reply, startHost } from "./http.ts";
import { addDays } from "./local-time.ts";
import {
  type Condition,
  compass,
  type Day,
  dayAt,
  type Hour,
  hourOf,
  localHour,
  tenth,
} from "./weather/climate.ts";

export type WeatherSimulator = {
  /** Ends in `/v1`, as the real base does. */
  url: string;
  inject(fault: Fault): () => void;
} & Pick<Host, "origin" | "requests" | "total" | "reset" | "close">;

const MAX_DAYS = 14;

/** WeatherAPI.com's own status, code and words. */
const ERRORS = {
  noKey: [401, 1002, "API key is invalid or not provided."],
  badKey: [401, 2006, "API key provided is invalid"],
  quota: [403, 2007, "API key has exceeded calls per month quota."],
  noQuery: [400, 1003, "Parameter q is missing."],
  badUrl: [400, 1005, "API request url is invalid"],
  noPlace: [400, 1006, "No matching location found."],
  internal: [400, 9999, "Internal application error."],
} as const;

/**
 * Speaks WeatherAPI.com's protocol (`current.json` and `forecast.json`) for the cities of `cities.ts`; any other
 * place is error 1006. The weather depends on the place and its local day alone, and every condition says
 * "(simulated)". Any key is good, except that one beginning with `bad` is invalid and one with `quota` is used up.
 */
export async function startWeather(
  options: { port?: number | undefined; now?: (() => Date) | undefined } = {},
): Promise<WeatherSimulator> {
  const now = options.now ?? (() => new Date());
  const host = await startHost({
    port: options.port,
    answer: (request) => answer(request, now()),
    fail: ({ status, code, message }) =>
      json(status, {
        error: { code: Number(code ?? 9999), message: message ?? "Internal application error." },
      }),
    malformed: { ...json(200, null), body: '{"location":{"name":"Barcelona","region":' },
  });
  return { ...host, url: `${host.origin}/v1` };
}

function answer({ path, query }: HostRequest, now: Date): Reply {
  const forecast = path === "/v1/forecast.json";
  if (!forecast && path !== "/v1/current.json") return failure("badUrl");
  const key = query.get("key") ?? "";
  if (key === "") return failure("noKey");
  if (key.startsWith("bad")) return failure("badKey");
  if (key.startsWith("quota")) return failure("quota");
  const q = query.get("q")?.trim() ?? "";
  if (q === "") return failure("noQuery");
  const days = Number(query.get("days") ?? "1");
  if (forecast && !(Number.isInteger(days) && days >= 1 && days <= MAX_DAYS)) return failure("badUrl");
  const city = findCity(q);
  if (city === undefined) return failure("noPlace");
  const today = localHour(city, now).date;
  return json(200, {
    location: location(city, now),
    current: current(city, now),
    ...(forecast && {
      forecast: {
        forecastday: Array.from({ length: days }, (_, offset) => forecastDay(city, addDays(today, offset))),
      },
    }),
  });
}

function failure(kind: keyof typeof ERRORS): Reply {
  const [status, code, message] = ERRORS[kind];
  return json(status, { error: { code, message } });
}

function location(city: City, now: Date) {
  const { date, time } = localHour(city, now);
  return {
    name: city.name,
    region: city.region,
    country: city.country,
    lat: city.lat,
    lon: city.lon,
    tz_id: city.timeZone,
    localtime_epoch: Math.floor(now.getTime() / 1000),
    localtime: `${date} ${time}`,
  };
}

function current(city: City, now: Date) {
  const updated = new Date(Math.floor(now.getTime() / 900_000) * 900_000);
  const { date, time } = localHour(city, updated);
  const local = localHour(city, now);
  const day = dayAt(city, local.date);
  return {
    last_updated_epoch: updated.getTime() / 1000,
    last_updated: `${date} ${time}`,
    ...instant(day, hourOf(day, local.hour)),
  };
}

function instant(day: Day, hour: Hour) {
  return {
    temp_c: hour.temperature,
    temp_f: fahrenheit(hour.temperature),
    is_day: hour.daytime ? 1 : 0,
    condition: condition(day.condition, hour.daytime),
    wind_mph: miles(hour.wind),
    wind_kph: hour.wind,
    wind_degree: day.windDegree,
    wind_dir: compass(day.windDegree),
    pressure_mb: 1013,
    pressure_in: 29.91,
    precip_mm: tenth(day.precipitation / 8),
    precip_in: inches(day.precipitation / 8),
    humidity: day.humidity,
    cloud: day.condition.code === 1000 ? 0 : 75,
    feelslike_c: hour.feelsLike,
    feelslike_f: fahrenheit(hour.feelsLike),
    vis_km: 10,
    vis_miles: 6,
    uv: hour.daytime ? day.uv : 0,
    gust_mph: miles(hour.wind * 1.4),
    gust_kph: tenth(hour.wind * 1.4),
  };
}

function forecastDay(city: City, date: string) {
  const day = dayAt(city, date);
  const mean = (day.low + day.high) / 2;
  return {
    date,
    date_epoch: Date.parse(`${date}T00:00:00Z`) / 1000,
    day: {
      maxtemp_c: day.high,
      maxtemp_f: fahrenheit(day.high),
      mintemp_c: day.low,
      mintemp_f: fahrenheit(day.low),
      avgtemp_c: tenth(mean),
      avgtemp_f: fahrenheit(mean),
      maxwind_mph: miles(day.wind),
      maxwind_kph: day.wind,
      totalprecip_mm: day.precipitation,
      totalprecip_in: inches(day.precipitation),
      totalsnow_cm: day.snowChance > 0 ? day.precipitation : 0,
      avgvis_km: 10,
      avgvis_miles: 6,
      avghumidity: day.humidity,
      daily_will_it_rain: day.rainChance >= 50 ? 1 : 0,
      daily_chance_of_rain: day.rainChance,
      daily_will_it_snow: day.snowChance >= 50 ? 1 : 0,
      daily_chance_of_snow: day.snowChance,
      condition: condition(day.condition, true),
      uv: day.uv,
    },
    hour: [],
  };
}

function condition({ text, night, code, icon }: Condition, daytime: boolean) {
  const name = daytime ? text : (night ?? text);
  const address = `//cdn.weatherapi.com/weather/64x64/${daytime ? "day" : "night"}/${icon}.png`;
  return { text: `${name} (simulated)`, icon: address, code };
}

function fahrenheit(celsius: number): number {
  return tenth(celsius * 1.8 + 32);
}

function miles(kilometres: number): number {
  return tenth(kilometres / 1.609);
}

function inches(millimetres: number): number {
  return Math.round((millimetres / 25.4) * 100) / 100;
}
