import { OpenMeteo } from "@parley/core/weather/open-meteo";
import { WeatherApi } from "@parley/core/weather/weather-api";
import { startOpenMeteo } from "@parley/local/simulators/open-meteo";
import { startWeather } from "@parley/local/simulators/weather";
import { expect, test } from "vitest";
import { NOW, weatherProviderContract } from "./weather-provider.ts";

const now = () => NOW;

weatherProviderContract("WeatherAPI.com", {
  start: () => startWeather({ now }),
  connect: (baseUrl, key) => new WeatherApi({ baseUrl, key }),
  keySetting: "WEATHER_API_KEY",
  otherShape: '{"location":{},"current":{}}',
});

const openMeteo = (areas: boolean) => ({
  start: () => startOpenMeteo({ now, areas }),
  connect: (url: string, key: string) => new OpenMeteo({ forecastUrl: url, geocodingUrl: url, key }),
  keySetting: "OPEN_METEO_API_KEY",
  otherShape: '{"latitude":1.5,"longitude":1.5,"timezone":"UTC","current":{"time":"2026-11-22T14:30"}}',
});
weatherProviderContract("Open-Meteo", openMeteo(true));
weatherProviderContract("Open-Meteo whose search knows no areas", openMeteo(false));

test("both tell the same of one sky", async () => {
  const [first, second] = await Promise.all([startWeather({ now }), startOpenMeteo({ now })]);
  const providers = [
    new WeatherApi({ baseUrl: first.url, key: "k" }),
    new OpenMeteo({ forecastUrl: second.url, geocodingUrl: second.url }),
  ];
  const signal = AbortSignal.timeout(5_000);
  const [one, other] = await Promise.all(providers.map((each) => each.current("Reykjavik", signal)));
  const same = ({ condition: _, localTime: __, ...rest }: NonNullable<typeof one>) => rest;
  expect(other && same(other)).toEqual(one && same(one));
  const [ten, also] = await Promise.all(providers.map((each) => each.forecast("Reykjavik", 10, signal)));
  const degrees = (days: NonNullable<typeof ten>["days"] = []) =>
    days.map(({ date, minC, maxC }) => ({ date, minC, maxC }));
  expect(degrees(also?.days)).toEqual(degrees(ten?.days));
  await Promise.all([first.close(), second.close()]);
});
