import * as z from "../schema.ts";
import { providerTitles } from "../weather/providers.ts";
import { type CurrentWeather, type Forecast, MAX_FORECAST_DAYS } from "../weather/types.ts";
import type { Aged } from "../weather/weather-service.ts";
import { defineTool, type ToolDependencies } from "./tool.ts";

const MAX_LOCATION = 200;

export const getWeather = ({ weather }: Pick<ToolDependencies, "weather">) =>
  defineTool({
    name: "get_weather",
    description:
      "Tells the weather at a place: now, or a forecast day by day. For tomorrow ask for 2 days. Results come from a weather service; never make up weather yourself.",
    parameters: z.object({
      location: z
        .string()
        .check(
          z.trim(),
          z.minLength(1),
          z.maxLength(MAX_LOCATION),
          z.describe(
            "City, optionally with region or country, such as 'Barcelona' or 'Paris, Texas'; or 'lat,lon'",
          ),
        ),
      days: z
        .nullable(z.int().check(z.minimum(1), z.maximum(MAX_FORECAST_DAYS)))
        .check(
          z.describe(
            `null for the weather now; 1 to ${MAX_FORECAST_DAYS} for a forecast of that many days, today first`,
          ),
        ),
    }),
    async execute({ location, days }, { deadline }) {
      return days === null
        ? describeCurrent(await weather.current(location, deadline))
        : describeForecast(await weather.forecast(location, days, deadline), days);
    },
  });

function describeCurrent({ value, ...told }: Aged<CurrentWeather>): string {
  return [
    `Weather in ${placeName(value.place)} (local time ${value.localTime}): ${value.temperatureC} °C, ${value.condition.toLowerCase()}, feels like ${value.feelsLikeC} °C, humidity ${value.humidity} %, wind ${value.windKph} km/h ${value.windDirection}`,
    ...sourceLines(told),
  ].join("\n");
}

function describeForecast({ value, ...told }: Aged<Forecast>, asked: number): string {
  const lines = value.days.map(({ date, minC, maxC, condition, chanceOfRain }) => {
    const rain = chanceOfRain === null ? "" : `, chance of rain ${chanceOfRain} %`;
    return `${date}: ${minC} to ${maxC} °C, ${condition.toLowerCase()}${rain}`;
  });
  const short =
    value.days.length < asked
      ? [`Note: the provider gives only ${value.days.length} of the ${asked} days.`]
      : [];
  return [`Forecast for ${placeName(value.place)}:`, ...lines, ...short, ...sourceLines(told)].join("\n");
}

const placeName = ({ name, region, country }: CurrentWeather["place"]) =>
  [...new Set([name, region, country])].filter(Boolean).join(", ");

/** Whose data it is, which their licences ask for, and how old, where that is more than it should be. */
function sourceLines({ provider, ageMs, stale }: Omit<Aged<unknown>, "value">): string[] {
  const source = `Source: ${providerTitles[provider]}`;
  if (!stale) return [source];
  const minutes = Math.max(1, Math.round(ageMs / 60_000));
  const age = minutes < 90 ? `${minutes} min` : `${Math.round(minutes / 60)} h`;
  return [
    source,
    `Note: this data is ${age} old; the weather provider could not be asked for newer. Say so.`,
  ];
}
