import type { DailyLimits } from "./budget/budgets.ts";
import type { Price } from "./budget/price.ts";
import { AppError } from "./error.ts";
import type * as z from "./schema.ts";
import {
  type ApiKey,
  apiKeys,
  auth,
  budgets,
  context,
  dynamo,
  isOpenAI,
  model,
  modelName,
  mongo,
  NOT_SET,
  origins,
  prices,
  rateLimit,
  redis,
  retention,
  retry,
  sessions,
  storeKind,
  telegram,
  telegramBots,
  telegramQueue,
  telegramSecrets,
  tools,
  weather,
  weatherApiKey,
} from "./settings.ts";
import type { AllowList, Bot } from "./telegram/bots.ts";
import type { ProviderName } from "./weather/providers.ts";

export type TelegramSettings = {
  bots: readonly Bot[];
  /** The webhook's secret tokens: the current one, and the previous one while it is being rotated. */
  secrets: readonly string[];
  allowed: AllowList;
  apiRoot: string;
};

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

const nanoUsd = (dollars: number | undefined) =>
  dollars === undefined ? undefined : Math.round(dollars * 1e9);

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

  /** What the models' tokens cost, by their names, as far as it is set. */
  get prices(): ReadonlyMap<string, Price | undefined> {
    const { name, fallback } = this.model;
    const { MODEL_PRICE, FALLBACK_MODEL_PRICE } = parse(prices, this.#env);
    return new Map([
      [fallback ?? "", FALLBACK_MODEL_PRICE],
      [name, MODEL_PRICE],
    ]);
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
