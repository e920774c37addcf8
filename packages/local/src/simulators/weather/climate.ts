import { createHash } from "node:crypto";
import type { City } from "../cities.ts";
import { wallClock } from "../local-time.ts";

/** As WeatherAPI.com codes it; `icon` is the number in the picture's address. */
export type Condition = { text: string; night?: string; code: number; icon: number };

/** One day's weather at one place: °C, mm, km/h, %. */
export type Day = {
  date: string;
  low: number;
  high: number;
  condition: Condition;
  rainChance: number;
  snowChance: number;
  precipitation: number;
  humidity: number;
  wind: number;
  windDegree: number;
  uv: number;
};

/** The weather at one hour of a day. */
export type Hour = { temperature: number; feelsLike: number; wind: number; daytime: boolean };

const DRY: readonly Condition[] = [
  { text: "Sunny", night: "Clear", code: 1000, icon: 113 },
  { text: "Partly cloudy", code: 1003, icon: 116 },
  { text: "Cloudy", code: 1006, icon: 119 },
  { text: "Overcast", code: 1009, icon: 122 },
  { text: "Mist", code: 1030, icon: 143 },
];
const RAIN: readonly Condition[] = [
  { text: "Patchy rain nearby", code: 1063, icon: 176 },
  { text: "Light rain", code: 1183, icon: 296 },
  { text: "Moderate rain", code: 1189, icon: 302 },
  { text: "Thundery outbreaks in nearby", code: 1087, icon: 200 },
];
const SNOW: readonly Condition[] = [
  { text: "Light snow", code: 1213, icon: 326 },
  { text: "Moderate snow", code: 1219, icon: 332 },
];

const RAIN_CHANCE_OF_WET_DAY = 0.3;

/** Seven fractions in [0, 1) that depend on nothing but the place and the day. */
function fractions(city: City, date: string): (index: number) => number {
  const digest = createHash("sha256").update(`${city.name}|${city.country}|${date}`).digest();
  return (index) => digest.readUInt16BE(index * 2) / 65_536;
}

/** The weather of `city` on the local day `date`: invented, but plausible for the latitude and the season. */
export function dayAt(city: City, date: string): Day {
  const at = fractions(city, date);
  const latitude = Math.abs(city.lat);
  const season = Math.cos(((dayOfYear(date) - 200) / 365) * 2 * Math.PI) * (city.lat >= 0 ? 1 : -1);
  const mean = 28 - 0.42 * Math.max(0, latitude - 12) + season * 0.2 * latitude + (at(0) - 0.5) * 6;
  const spread = 3 + at(1) * 3;
  const low = tenth(mean - spread);
  const high = tenth(mean + spread);
  const wet = at(2) < RAIN_CHANCE_OF_WET_DAY;
  const snow = wet && mean < 1;
  const kinds = wet ? (snow ? SNOW : RAIN) : DRY;
  const chance = Math.round(wet ? 60 + at(4) * 39 : at(4) * 30);
  return {
    date,
    low,
    high,
    condition: kinds[Math.floor(at(3) * kinds.length)] as Condition,
    rainChance: snow ? 0 : chance,
    snowChance: snow ? chance : 0,
    precipitation: wet ? tenth(0.5 + at(5) * 12) : 0,
    humidity: Math.round((wet ? 70 : 40) + at(6) * 25),
    wind: tenth(5 + at(5) * 30),
    windDegree: Math.floor(at(7) * 360),
    uv: tenth(Math.max(0, (90 - latitude) / 12 + season * 3)),
  };
}

/** What `day` is like at a local hour, 0 to 23: coldest at 4, warmest at 15. */
export function hourOf(day: Day, hour: number): Hour {
  const warmth = (1 + Math.cos(((hour - 15) / 22) * 2 * Math.PI)) / 2;
  const temperature = tenth(day.low + (day.high - day.low) * warmth);
  const chill = temperature < 12 ? day.wind / 12 : 0;
  return {
    temperature,
    feelsLike: tenth(temperature - chill),
    wind: tenth(day.wind * (0.6 + 0.4 * warmth)),
    daytime: hour >= 7 && hour < 20,
  };
}

/** `date` and `hour` on the clocks of `city`. */
export function localHour(city: City, at: Date): { date: string; time: string; hour: number } {
  const { date, time } = wallClock(at, city.timeZone);
  return { date, time, hour: Number(time.slice(0, 2)) };
}

const COMPASS = "N NNE NE ENE E ESE SE SSE S SSW SW WSW W WNW NW NNW".split(" ");

export function compass(degree: number): string {
  return COMPASS[Math.round(degree / 22.5) % COMPASS.length] ?? "N";
}

export function tenth(value: number): number {
  return Math.round(value * 10) / 10;
}

function dayOfYear(date: string): number {
  return (Date.parse(`${date}T00:00:00Z`) - Date.parse(`${date.slice(0, 4)}-01-01T00:00:00Z`)) / 86_400_000;
}
