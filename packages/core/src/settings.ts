import { DEFAULT_MODEL, PRICE_FORMAT, parsePrice } from "./budget/price.ts";
import * as z from "./schema.ts";
import type { Bot } from "./telegram/bots.ts";
import { providerNames } from "./weather/providers.ts";

/** Every setting that the functions read, by need: what it may be, and its default. .env.example explains them. */

/** A key's id, which owns what the key creates, and the digest of its secret. */
export type ApiKey = { id: string; sha256: Buffer };

/** An empty variable is an absent one: `.env` files have lines such as `OPENAI_API_KEY=`. */
const optional = <T extends z.ZodMiniType>(schema: T) =>
  z.preprocess((value) => (value === "" ? undefined : value), z.optional(schema));
const withDefault = <T extends z.ZodMiniType>(schema: T, value: z.output<T>) =>
  z.preprocess((raw) => (raw === undefined || raw === "" ? value : raw), schema);

const integer = (min: number, max = Number.MAX_SAFE_INTEGER) =>
  z.coerce.number().check(z.int(), z.minimum(min), z.maximum(max));
const count = (max?: number) => integer(0, max);
const positive = () => integer(1);
const url = z.url({ protocol: /^https?$/ });
const filled = z.string().check(z.minLength(1));

export const NOT_SET = "is not set";

export const auth = z.object({ AUTH_MODE: optional(z.literal("none")) });

/** `id:sha256-of-the-secret` in hex, several separated by commas; one id may have several, for rotation. */
const apiKey = z.pipe(
  z
    .string()
    .check(
      z.trim(),
      z.regex(
        /^[A-Za-z0-9_.-]{1,64}:[0-9a-fA-F]{64}$/,
        "is not a list of id:sha256 as `npm run api-key` prints them",
      ),
    ),
  z.transform((pair): ApiKey => {
    const [id = "", digest = ""] = pair.split(":");
    return { id, sha256: Buffer.from(digest, "hex") };
  }),
);
export const apiKeys = z.object({
  API_KEYS: z.pipe(
    z.pipe(
      z.string(
        "is not set: `npm run api-key -- <id>` makes one, or AUTH_MODE=none opens the API to everybody",
      ),
      z.transform((list) => list.split(",")),
    ),
    z.array(apiKey).check(z.minLength(1)),
  ),
});

const listOf = (text: string) =>
  text
    .split(",")
    .map((one) => one.trim())
    .filter(Boolean);
const list = (schema: z.ZodMiniType<string>) => z.pipe(schema, z.transform(listOf));

export const origins = z.object({ CORS_ORIGINS: list(withDefault(z.string(), "")) });

export const rateLimit = z.object({
  API_RATE_LIMIT_RPS: withDefault(positive(), 10),
  API_RATE_LIMIT_BURST: withDefault(positive(), 20),
});

const STORES = ["dynamodb", "mongodb"] as const;
export const storeKind = z.object({
  STORE: withDefault(z.enum(STORES, `must be ${STORES.join(" or ")}`), "dynamodb"),
});
export const dynamo = z.object({ CONVERSATIONS_TABLE: withDefault(z.string(), "parley") });
export const mongo = z.object({
  MONGODB_URI: z
    .string("is not set: STORE=mongodb needs it")
    .check(z.regex(/^mongodb(\+srv)?:\/\/./, "must be a mongodb:// or mongodb+srv:// connection string")),
  // Of what MongoDB allows, what it allows everywhere.
  MONGODB_DATABASE: withDefault(
    z.string().check(z.regex(/^[\w-]{1,63}$/, "must be 1 to 63 of A-Z a-z 0-9 _ -")),
    "parley",
  ),
});

/** A hundred years: what is to be kept for longer is kept for ever. */
const MAX_RETENTION_DAYS = 36_500;
export const retention = z.object({ RETENTION_DAYS: optional(integer(1, MAX_RETENTION_DAYS)) });

export const redis = z.object({
  UPSTASH_REDIS_REST_URL: url,
  UPSTASH_REDIS_REST_TOKEN: filled,
  REDIS_TIMEOUT_MS: withDefault(positive(), 1_000),
});

export const sessions = z.object({ SESSION_TTL_MINUTES: withDefault(positive(), 30) });

const OPENAI_URL = "https://api.openai.com/v1";
/** With its regional ones, such as eu.api.openai.com. */
export const isOpenAI = (baseUrl: string) => /^(?:[\w-]+\.)?api\.openai\.com$/.test(new URL(baseUrl).host);
export const modelName = z.object({ OPENAI_MODEL: withDefault(filled, DEFAULT_MODEL) });
/** Responses takes no smaller limit. */
const LEAST_OUTPUT_TOKENS = 16;
export const model = z.object({
  ...modelName.shape,
  OPENAI_API_KEY: filled,
  OPENAI_BASE_URL: withDefault(url, OPENAI_URL),
  OPENAI_API: optional(z.enum(["chat", "responses"], "must be chat or responses")),
  OPENAI_FALLBACK_MODEL: optional(filled),
  OPENAI_REASONING_EFFORT: optional(z.string()),
  OPENAI_TIMEOUT_MS: withDefault(positive(), 20_000),
  // What a reply may hold, 32,000 characters, is about as many.
  MAX_OUTPUT_TOKENS: withDefault(integer(LEAST_OUTPUT_TOKENS), 8_192),
});

const price = z.pipe(
  z.string().check(z.refine((text) => parsePrice(text) !== undefined, `is not ${PRICE_FORMAT}`)),
  z.transform(parsePrice),
);
export const prices = z.object({ MODEL_PRICE: optional(price), FALLBACK_MODEL_PRICE: optional(price) });

const NO_USD = "must be a number of US dollars above 0, such as 0.50";
const usd = z.coerce.number(NO_USD).check(z.positive(NO_USD));
export const budgets = z.object({
  BUDGET_USER_TOKENS_PER_DAY: optional(positive()),
  BUDGET_USER_USD_PER_DAY: optional(usd),
  BUDGET_KEY_TOKENS_PER_DAY: optional(positive()),
  BUDGET_KEY_USD_PER_DAY: optional(usd),
});
export const context = z.object({ MAX_CONTEXT_TOKENS: withDefault(positive(), 4_000) });

export const retry = z.object({
  RETRY_MAX_ATTEMPTS: withDefault(count(10), 3),
  RETRY_BASE_DELAY_MS: withDefault(positive(), 500),
  RETRY_MAX_DELAY_MS: withDefault(positive(), 5_000),
});

export const weather = z.object({
  WEATHER_PROVIDERS: optional(
    z.pipe(
      list(z.string()),
      z.array(z.enum(providerNames, `knows ${providerNames.join(", ")} and nothing else`)).check(
        z.minLength(1, NOT_SET),
        z.refine((names) => new Set(names).size === names.length, "names a provider twice"),
      ),
    ),
  ),
  WEATHER_API_KEY: optional(z.string()),
  WEATHER_API_URL: withDefault(url, "https://api.weatherapi.com/v1"),
  OPEN_METEO_API_KEY: optional(z.string()),
  OPEN_METEO_URL: optional(url),
  OPEN_METEO_GEOCODING_URL: optional(url),
});

const NEEDS_KEY = `${NOT_SET}, and WEATHER_PROVIDERS names weatherapi`;
export const weatherApiKey = z.object({
  WEATHER_API_KEY: z.string(NEEDS_KEY).check(z.minLength(1, NEEDS_KEY)),
});

export const tools = z.object({
  HOLIDAY_CALENDAR_LINK: optional(z.url({ protocol: /^(https?|webcal)$/ })),
  CACHE_TTL_HOURS: withDefault(positive(), 24),
  CIRCUIT_BREAKER_MAX_FAILURES: withDefault(positive(), 3),
  CIRCUIT_BREAKER_COOLDOWN_SECONDS: withDefault(positive(), 30),
  CIRCUIT_BREAKER_WINDOW_SECONDS: withDefault(positive(), 60),
});

/** `username=token`, several separated by commas; a token begins with the bot's id. */
const telegramBot = z.pipe(
  z
    .string()
    .check(
      z.regex(
        /^@?\w{5,32}=\d{1,20}:[\w-]{10,100}$/,
        "is not a list of username=token as @BotFather gives them",
      ),
    ),
  z.transform((pair): Bot => {
    const [name = "", token = ""] = pair.replace(/^@/, "").split("=");
    return { name, token, id: Number.parseInt(token, 10) };
  }),
);
const areDistinct = (bots: readonly Bot[]) =>
  new Set(bots.map(({ name }) => name.toLowerCase())).size === bots.length;
export const telegramBots = z.object({
  TELEGRAM_BOTS: z.pipe(
    z.pipe(list(z.string()), z.array(telegramBot).check(z.minLength(1, NOT_SET))),
    z.custom<Bot[]>((bots) => areDistinct(bots as Bot[]), "names a bot twice"),
  ),
  TELEGRAM_API_ROOT: withDefault(url, "https://api.telegram.org"),
});
export const telegramSecrets = z.object({
  TELEGRAM_WEBHOOK_SECRET: z.pipe(
    list(z.string()),
    z
      .array(z.string().check(z.regex(/^[\w-]{16,256}$/, "must be 16 to 256 of A-Z a-z 0-9 _ -")))
      .check(z.minLength(1, NOT_SET), z.maxLength(2, "must be one, or two while it is rotated")),
  ),
});
const NO_IDS = "is not a list of numeric ids";
const id = z.pipe(z.string().check(z.regex(/^-?\d{1,20}$/, NO_IDS)), z.transform(Number));
const ids = withDefault(z.string(), "").check(
  // Of nothing but commas: it was to keep somebody out.
  z.refine((text) => text.trim() === "" || listOf(text).length > 0, NO_IDS),
);
const idSet = z.pipe(
  z.pipe(list(ids), z.array(id)),
  z.transform((given): ReadonlySet<number> => new Set(given)),
);
export const telegram = z.object({
  ...telegramBots.shape,
  ...telegramSecrets.shape,
  TELEGRAM_ALLOWED_USERS: idSet,
  TELEGRAM_ALLOWED_CHATS: idSet,
});
export const telegramQueue = z.object({ TELEGRAM_QUEUE_URL: url });
