/**
 * `npx sst secret set <Name> <value>`; a deployment without one that has no default here stops and names it. Functions get
 * them encrypted, in their code's archive: a change takes a deploy.
 */
const openAiApiKey = new sst.Secret("OpenAiApiKey");
export const upstashUrl = new sst.Secret("UpstashRedisRestUrl");
export const upstashToken = new sst.Secret("UpstashRedisRestToken");
/** `id:sha256` of each key, as `npm run api-key -- <id>` prints them. */
export const apiKeys = new sst.Secret("ApiKeys");
/** WeatherAPI.com's; without it the weather is Open-Meteo's. */
const weatherApiKey = new sst.Secret("WeatherApiKey", "");
/** A customer's of Open-Meteo; without it the service is free, for whoever earns nothing with it. */
const openMeteoApiKey = new sst.Secret("OpenMeteoApiKey", "");
/** What it takes to answer: the model's key and those of the weather. */
export const answering = [openAiApiKey, weatherApiKey, openMeteoApiKey];
/** `username=token` of each bot; without it there is none, and the webhook refuses. */
export const telegramBots = new sst.Secret("TelegramBots", "");
export const telegramWebhookSecret = new sst.Secret("TelegramWebhookSecret", "");
