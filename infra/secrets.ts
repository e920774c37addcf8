/**
 * `npx sst secret set <Name> <value>`; a deployment without one that has no default here stops and names it. Functions get
 * them encrypted, in their code's archive: a change takes a deploy.
 */
export const openAiApiKey = new sst.Secret("OpenAiApiKey");
export const upstashUrl = new sst.Secret("UpstashRedisRestUrl");
export const upstashToken = new sst.Secret("UpstashRedisRestToken");
/** `id:sha256` of each key, as `npm run api-key -- <id>` prints them. */
export const apiKeys = new sst.Secret("ApiKeys");
/** WeatherAPI.com's; without it the weather is unavailable. */
export const weatherApiKey = new sst.Secret("WeatherApiKey", "");
/** `username=token` of each bot; without it there is none, and the webhook refuses. */
export const telegramBots = new sst.Secret("TelegramBots", "");
export const telegramWebhookSecret = new sst.Secret("TelegramWebhookSecret", "");
