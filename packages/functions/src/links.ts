import { Resource } from "sst/resource";

/** What a deployment links to a function: the setting that each link becomes, and the property that it is read from. */
const LINKS = {
  Conversations: ["CONVERSATIONS_TABLE", "name"],
  MongoDbUri: ["MONGODB_URI", "value"],
  TelegramUpdates: ["TELEGRAM_QUEUE_URL", "url"],
  OpenAiApiKey: ["OPENAI_API_KEY", "value"],
  WeatherApiKey: ["WEATHER_API_KEY", "value"],
  OpenMeteoApiKey: ["OPEN_METEO_API_KEY", "value"],
  UpstashRedisRestUrl: ["UPSTASH_REDIS_REST_URL", "value"],
  UpstashRedisRestToken: ["UPSTASH_REDIS_REST_TOKEN", "value"],
  ApiKeys: ["API_KEYS", "value"],
  TelegramBots: ["TELEGRAM_BOTS", "value"],
  TelegramWebhookSecret: ["TELEGRAM_WEBHOOK_SECRET", "value"],
} as const;

/** The settings that are linked to this function: none where nothing is deployed, as on a laptop. */
export function linkedSettings(): Record<string, string> {
  const linked = Resource as unknown as Readonly<
    Record<string, Readonly<Record<string, string>> | undefined>
  >;
  return Object.fromEntries(
    Object.entries(LINKS).flatMap(([link, [setting, property]]) => {
      const value = link in linked ? linked[link]?.[property] : undefined;
      return value === undefined ? [] : [[setting, value]];
    }),
  );
}
