import type { DailyLimits } from "./budget/budgets.ts";
import { DEFAULT_MODEL, PRICE_FORMAT, type Price, parsePrice, priceOf } from "./budget/prices.ts";
import { AppError } from "./error.ts";
import * as z from "./schema.ts";
import type { AllowList, Bot } from "./telegram/bots.ts";
import { type ProviderName, providerNames } from "./weather/providers.ts";

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

const NOT_SET = "is not set";

const auth = z.object({ AUTH_MODE: optional(z.literal("none")) });

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
const apiKeys = z.object({
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

const origins = z.object({ CORS_ORIGINS: list(withDefault(z.string(), "")) });

const rateLimit = z.object({
  API_RATE_LIMIT_RPS: withDefault(positive(), 10),
  API_RATE_LIMIT_BURST: withDefault(positive(), 20),
});

const STORES = ["dynamodb", "mongodb"] as const;
const storeKind = z.object({
  STORE: withDefault(z.enum(STORES, `must be ${STORES.join(" or ")}`), "dynamodb"),
});
const dynamo = z.object({ CONVERSATIONS_TABLE: withDefault(z.string(), "parley") });
const mongo = z.object({
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
const retention = z.object({ RETENTION_DAYS: optional(integer(1, MAX_RETENTION_DAYS)) });

const redis = z.object({
  UPSTASH_REDIS_REST_URL: url,
  UPSTASH_REDIS_REST_TOKEN: filled,
  REDIS_TIMEOUT_MS: withDefault(positive(), 1_000),
});

const sessions = z.object({ SESSION_TTL_MINUTES: withDefault(positive(), 30) });

const OPENAI_URL = "https://api.openai.com/v1";
/** With its regional ones, such as eu.api.openai.com. */
const isOpenAI = (baseUrl: string) => /^(?:[\w-]+\.)?api\.openai\.com$/.test(new URL(baseUrl).host);
const modelName = z.object({ OPENAI_MODEL: withDefault(filled, DEFAULT_MODEL) });
const model = z.object({
  ...modelName.shape,
  OPENAI_API_KEY: filled,
  OPENAI_BASE_URL: withDefault(url, OPENAI_URL),
  OPENAI_API: optional(z.enum(["chat", "responses"], "must be chat or responses")),
  OPENAI_FALLBACK_MODEL: optional(filled),
  OPENAI_REASONING_EFFORT: optional(z.string()),
  OPENAI_TIMEOUT_MS: withDefault(positive(), 20_000),
  // What a reply may hold, 32,000 characters, is about as many.
  MAX_OUTPUT_TOKENS: withDefault(positive(), 8_192),
});

const price = z.pipe(
  z.string().check(z.refine((text) => parsePrice(text) !== undefined, `is not ${PRICE_FORMAT}`)),
  z.transform(parsePrice),
);
const prices = z.object({ MODEL_PRICE: optional(price), FALLBACK_MODEL_PRICE: optional(price) });

const usd = z.coerce.number().check(z.positive());
const budgets = z.object({
  BUDGET_USER_TOKENS_PER_DAY: optional(positive()),
  BUDGET_USER_USD_PER_DAY: optional(usd),
  BUDGET_KEY_TOKENS_PER_DAY: optional(positive()),
  BUDGET_KEY_USD_PER_DAY: optional(usd),
});
const nanoUsd = (dollars: number | undefined) =>
  dollars === undefined ? undefined : Math.round(dollars * 1e9);

const context = z.object({ MAX_CONTEXT_TOKENS: withDefault(positive(), 4_000) });

const retry = z.object({
  RETRY_MAX_ATTEMPTS: withDefault(count(10), 3),
  RETRY_BASE_DELAY_MS: withDefault(positive(), 500),
  RETRY_MAX_DELAY_MS: withDefault(positive(), 5_000),
});

const weather = z.object({
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
const weatherApiKey = z.object({
  WEATHER_API_KEY: z.string(NEEDS_KEY).check(z.minLength(1, NEEDS_KEY)),
});

const tools = z.object({
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
const telegramBots = z.object({
  TELEGRAM_BOTS: z.pipe(
    z.pipe(list(z.string()), z.array(telegramBot).check(z.minLength(1, NOT_SET))),
    z.custom<Bot[]>((bots) => areDistinct(bots as Bot[]), "names a bot twice"),
  ),
  TELEGRAM_API_ROOT: withDefault(url, "https://api.telegram.org"),
});
const telegramSecrets = z.object({
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
const telegram = z.object({
  ...telegramBots.shape,
  ...telegramSecrets.shape,
  TELEGRAM_ALLOWED_USERS: idSet,
  TELEGRAM_ALLOWED_CHATS: idSet,
});
const telegramQueue = z.object({ TELEGRAM_QUEUE_URL: url });

export type TelegramSettings = {
  bots: readonly Bot[];
  /** The webhook's secret tokens: the current one, and the previous one while it is being rotated. */
  secrets: readonly string[];
  allowed: AllowList;
  apiRoot: string;
};

/** A key's id, which owns what the key creates, and the digest of its secret. */
export type ApiKey = { id: string; sha256: Buffer };
export type RateLimitSettings = { perSecond: number; burst: number };

export type StoreSettings =
  | { kind: "dynamodb"; table: string }
  /** The connection string holds a password. */
  | { kind: "mongodb"; uri: string; database: string };

export type Environment = Readonly<Record<string, string | undefined>>;

function parse<T>(schema: z.ZodMiniType<T>, env: Environment): T {
  const parsed = schema.safeParse(env);
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.map(({ path, message }) => {
    const name = String(path[0]);
    return `${name}: ${env[name] || message.startsWith(NOT_SET) ? message : NOT_SET}`;
  });
  throw new AppError("failed_precondition", `Wrong settings: ${problems.join("; ")}. See .env.example.`);
}

/**
 * Settings by need, each group parsed when somebody first asks for it: listing conversations does not need the OpenAI
 * key. Defaults are those of the original service.
 * Every getter throws AppError failed_precondition that names the settings which are missing or wrong, and no value.
 */
export class Config {
  readonly #env: Environment;

  constructor(env: Environment) {
    this.#env = env;
  }

  /** "none" is said aloud; without it there must be keys. */
  get authMode() {
    return parse(auth, this.#env).AUTH_MODE;
  }

  get apiKeys(): readonly ApiKey[] {
    return parse(apiKeys, this.#env).API_KEYS;
  }

  /** Origins that a browser may call from; none unless named. */
  get corsOrigins(): readonly string[] {
    return parse(origins, this.#env).CORS_ORIGINS;
  }

  get rateLimit(): RateLimitSettings {
    const settings = parse(rateLimit, this.#env);
    return { perSecond: settings.API_RATE_LIMIT_RPS, burst: settings.API_RATE_LIMIT_BURST };
  }

  get storeKind(): StoreSettings["kind"] {
    return parse(storeKind, this.#env).STORE;
  }

  get store(): StoreSettings {
    const kind = this.storeKind;
    if (kind === "dynamodb") return { kind, table: parse(dynamo, this.#env).CONVERSATIONS_TABLE };
    const settings = parse(mongo, this.#env);
    return { kind, uri: settings.MONGODB_URI, database: settings.MONGODB_DATABASE };
  }

  /** How long messages are kept; undefined: for ever. */
  get retentionDays() {
    return parse(retention, this.#env).RETENTION_DAYS;
  }

  get redis() {
    const settings = parse(redis, this.#env);
    return {
      url: settings.UPSTASH_REDIS_REST_URL,
      token: settings.UPSTASH_REDIS_REST_TOKEN,
      timeoutMs: settings.REDIS_TIMEOUT_MS,
    };
  }

  get sessionTtlMs() {
    return parse(sessions, this.#env).SESSION_TTL_MINUTES * 60_000;
  }

  get model() {
    const settings = parse(model, this.#env);
    const ofOpenAI = isOpenAI(settings.OPENAI_BASE_URL);
    const api = settings.OPENAI_API ?? (ofOpenAI ? "responses" : "chat");
    return {
      api,
      apiKey: settings.OPENAI_API_KEY,
      baseUrl: settings.OPENAI_BASE_URL,
      name: settings.OPENAI_MODEL,
      fallback: settings.OPENAI_FALLBACK_MODEL,
      // Chat Completions of OpenAI's newer models refuses tools together with reasoning; Responses takes both, and there the
      // model's own default holds. Other servers may not know the parameter at all.
      reasoningEffort: settings.OPENAI_REASONING_EFFORT ?? (ofOpenAI && api === "chat" ? "none" : undefined),
      timeoutMs: settings.OPENAI_TIMEOUT_MS,
      maxOutputTokens: settings.MAX_OUTPUT_TOKENS,
    };
  }

  /** What the models' tokens cost; undefined for one that neither a setting nor the table has. */
  get priceOf(): (model: string) => Price | undefined {
    const { OPENAI_MODEL, OPENAI_FALLBACK_MODEL } = parse(model, this.#env);
    const { MODEL_PRICE, FALLBACK_MODEL_PRICE } = parse(prices, this.#env);
    return (name) =>
      (name === OPENAI_MODEL && MODEL_PRICE) ||
      (name === OPENAI_FALLBACK_MODEL && FALLBACK_MODEL_PRICE) ||
      priceOf(name);
  }

  /** What may be spent in a day; undefined where nothing is limited. */
  get budgets(): DailyLimits | undefined {
    const set = parse(budgets, this.#env);
    if (Object.values(set).every((limit) => limit === undefined)) return undefined;
    return {
      user: { tokens: set.BUDGET_USER_TOKENS_PER_DAY, nanoUsd: nanoUsd(set.BUDGET_USER_USD_PER_DAY) },
      key: { tokens: set.BUDGET_KEY_TOKENS_PER_DAY, nanoUsd: nanoUsd(set.BUDGET_KEY_USD_PER_DAY) },
    };
  }

  /** All that is asked of the model's settings where it is not called. */
  get modelName() {
    return parse(modelName, this.#env).OPENAI_MODEL;
  }

  get maxContextTokens() {
    return parse(context, this.#env).MAX_CONTEXT_TOKENS;
  }

  get retry() {
    const settings = parse(retry, this.#env);
    return {
      maxRetries: settings.RETRY_MAX_ATTEMPTS,
      baseMs: settings.RETRY_BASE_DELAY_MS,
      capMs: settings.RETRY_MAX_DELAY_MS,
    };
  }

  get telegram(): TelegramSettings {
    const settings = parse(telegram, this.#env);
    return {
      ...this.telegramBots,
      secrets: settings.TELEGRAM_WEBHOOK_SECRET,
      allowed: { users: settings.TELEGRAM_ALLOWED_USERS, chats: settings.TELEGRAM_ALLOWED_CHATS },
    };
  }

  /** All that it takes to call the Bot API. */
  get telegramBots(): Pick<TelegramSettings, "bots" | "apiRoot"> {
    const settings = parse(telegramBots, this.#env);
    return { bots: settings.TELEGRAM_BOTS, apiRoot: settings.TELEGRAM_API_ROOT.replace(/\/+$/, "") };
  }

  get telegramSecrets(): TelegramSettings["secrets"] {
    return parse(telegramSecrets, this.#env).TELEGRAM_WEBHOOK_SECRET;
  }

  get telegramQueueUrl() {
    return parse(telegramQueue, this.#env).TELEGRAM_QUEUE_URL;
  }

  /** The providers in the order in which they are asked: Open-Meteo needs no key, so it is never without. */
  get weather() {
    const settings = parse(weather, this.#env);
    const { WEATHER_API_KEY: key = "", OPEN_METEO_API_KEY: customerKey } = settings;
    const providers: readonly ProviderName[] =
      settings.WEATHER_PROVIDERS ?? (key ? ["weatherapi", "open-meteo"] : ["open-meteo"]);
    if (providers.includes("weatherapi")) parse(weatherApiKey, this.#env);
    // Open-Meteo's customers have servers of their own.
    const host = (name: string) => `https://${customerKey ? "customer-" : ""}${name}.open-meteo.com/v1`;
    return {
      providers,
      weatherApi: { key, baseUrl: settings.WEATHER_API_URL },
      openMeteo: {
        key: customerKey,
        forecastUrl: settings.OPEN_METEO_URL ?? host("api"),
        geocodingUrl: settings.OPEN_METEO_GEOCODING_URL ?? host("geocoding-api"),
      },
    };
  }

  get tools() {
    const settings = parse(tools, this.#env);
    return {
      calendarLink: settings.HOLIDAY_CALENDAR_LINK,
      calendarFreshMs: settings.CACHE_TTL_HOURS * 3_600_000,
      circuit: {
        maxFailures: settings.CIRCUIT_BREAKER_MAX_FAILURES,
        cooldownMs: settings.CIRCUIT_BREAKER_COOLDOWN_SECONDS * 1_000,
        windowMs: settings.CIRCUIT_BREAKER_WINDOW_SECONDS * 1_000,
      },
    };
  }
}
