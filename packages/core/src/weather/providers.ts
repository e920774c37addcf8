/** The providers there are, by the name that settings, metrics and caches have for them, as answers name them. */
export const providerTitles = { weatherapi: "WeatherAPI.com", "open-meteo": "Open-Meteo.com" } as const;
export type ProviderName = keyof typeof providerTitles;
export const providerNames = Object.keys(providerTitles) as ProviderName[];
