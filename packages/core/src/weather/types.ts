import * as z from "../schema.ts";
import type { ProviderName } from "./providers.ts";

const place = z.object({ name: z.string(), region: z.string(), country: z.string(), timezone: z.string() });

/** Weather at a place now; `localTime` is `YYYY-MM-DD HH:mm` there. Degrees Celsius, km/h, per cent. */
export const currentWeather = z.object({
  place,
  localTime: z.string(),
  temperatureC: z.number(),
  feelsLikeC: z.number(),
  condition: z.string(),
  humidity: z.number(),
  windKph: z.number(),
  windDirection: z.string(),
});
export type CurrentWeather = z.infer<typeof currentWeather>;

/** Days in order, each dated in the place's own calendar. Degrees Celsius, per cent; a chance of rain may be unknown. */
export const forecast = z.object({
  place,
  days: z.array(
    z.object({
      date: z.string(),
      minC: z.number(),
      maxC: z.number(),
      condition: z.string(),
      chanceOfRain: z.nullable(z.number()),
    }),
  ),
});
export type Forecast = z.infer<typeof forecast>;

export const MAX_FORECAST_DAYS = 10;

/** One source of weather. Both methods throw PlaceNotFoundError or UpstreamError, and nothing invented. */
export interface WeatherProvider {
  readonly name: ProviderName;
  current(location: string, signal: AbortSignal): Promise<CurrentWeather>;
  /** Up to `days` days beginning today; a provider may give fewer. */
  forecast(location: string, days: number, signal: AbortSignal): Promise<Forecast>;
}

/** The provider knows no such place: says nothing of the provider's health. */
export class PlaceNotFoundError extends Error {
  override readonly name = "PlaceNotFoundError";
}
