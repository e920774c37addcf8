import { Config } from "@parley/core/config";
import { AppError } from "@parley/core/error";
import { describe, expect, test } from "vitest";
import { fc } from "../support/property.ts";

const REDIS = {
  UPSTASH_REDIS_REST_URL: "https://eu1-redis.upstash.io",
  UPSTASH_REDIS_REST_TOKEN: "redis-token",
};
const MODEL = { OPENAI_API_KEY: "sk-secret" };
const MONGO = {
  STORE: "mongodb",
  MONGODB_URI: "mongodb+srv://parley:hunter2@cluster.example.net/?w=majority",
};

/** Every group of settings, and the settings that it reads. */
const GROUPS: Record<string, { read: (config: Config) => unknown; required: object }> = {
  authMode: { read: (config) => config.authMode, required: {} },
  store: { read: (config) => config.store, required: {} },
  redis: { read: (config) => config.redis, required: REDIS },
  retentionDays: { read: (config) => config.retentionDays, required: {} },
  modelName: { read: (config) => config.modelName, required: {} },
  sessionTtlMs: { read: (config) => config.sessionTtlMs, required: {} },
  model: { read: (config) => config.model, required: MODEL },
  budgets: { read: (config) => config.budgets, required: {} },
  maxContextTokens: { read: (config) => config.maxContextTokens, required: {} },
  retry: { read: (config) => config.retry, required: {} },
  weather: { read: (config) => config.weather, required: {} },
  tools: { read: (config) => config.tools, required: {} },
};

const NUMBERS = [
  ["redis", "REDIS_TIMEOUT_MS"],
  ["retentionDays", "RETENTION_DAYS"],
  ["sessionTtlMs", "SESSION_TTL_MINUTES"],
  ["model", "OPENAI_TIMEOUT_MS"],
  ["model", "MAX_OUTPUT_TOKENS"],
  ["budgets", "BUDGET_USER_TOKENS_PER_DAY"],
  ["budgets", "BUDGET_KEY_TOKENS_PER_DAY"],
  ["maxContextTokens", "MAX_CONTEXT_TOKENS"],
  ["retry", "RETRY_MAX_ATTEMPTS"],
  ["retry", "RETRY_BASE_DELAY_MS"],
  ["retry", "RETRY_MAX_DELAY_MS"],
  ["tools", "CACHE_TTL_HOURS"],
  ["tools", "CIRCUIT_BREAKER_MAX_FAILURES"],
  ["tools", "CIRCUIT_BREAKER_COOLDOWN_SECONDS"],
  ["tools", "CIRCUIT_BREAKER_WINDOW_SECONDS"],
] as const;

const URLS = [
  ["redis", "UPSTASH_REDIS_REST_URL"],
  ["model", "OPENAI_BASE_URL"],
  ["weather", "WEATHER_API_URL"],
  ["weather", "OPEN_METEO_URL"],
  ["weather", "OPEN_METEO_GEOCODING_URL"],
  ["tools", "HOLIDAY_CALENDAR_LINK"],
] as const;

function read(group: string, env: Record<string, string | undefined>): unknown {
  const { read: get, required } = GROUPS[group]!;
  return get(new Config({ ...required, ...env }));
}

function failure(group: string, env: Record<string, string | undefined>): AppError {
  try {
    GROUPS[group]!.read(new Config(env));
  } catch (error) {
    expect(error).toBeInstanceOf(AppError);
    return error as AppError;
  }
  throw new Error(`${group} took ${JSON.stringify(env)}`);
}

describe("defaults", () => {
  test("are the original service's numbers", () => {
    const config = new Config({ ...REDIS, ...MODEL });
    expect(config.retry).toEqual({ maxRetries: 3, baseMs: 500, capMs: 5_000 });
    expect(config.sessionTtlMs).toBe(30 * 60_000);
    expect(config.maxContextTokens).toBe(4_000);
    expect(config.tools).toEqual({
      calendarLink: undefined,
      calendarFreshMs: 24 * 3_600_000,
      circuit: { maxFailures: 3, cooldownMs: 30_000, windowMs: 60_000 },
    });
    expect(config.weather).toEqual({
      providers: ["open-meteo"],
      weatherApi: { key: "", baseUrl: "https://api.weatherapi.com/v1" },
      openMeteo: {
        key: undefined,
        forecastUrl: "https://api.open-meteo.com/v1",
        geocodingUrl: "https://geocoding-api.open-meteo.com/v1",
      },
    });
    expect(config.redis).toEqual({
      url: "https://eu1-redis.upstash.io",
      token: "redis-token",
      timeoutMs: 1_000,
    });
    expect(config.model).toEqual({
      api: "responses",
      apiKey: "sk-secret",
      baseUrl: "https://api.openai.com/v1",
      name: "gpt-5.4-mini",
      fallback: undefined,
      reasoningEffort: undefined,
      timeoutMs: 20_000,
      maxOutputTokens: 8_192,
    });
    expect(config.store).toEqual({ kind: "dynamodb", table: "parley" });
    expect(config.authMode).toBeUndefined();
  });

  test("stand in for an empty variable as for an absent one", () => {
    for (const group of Object.keys(GROUPS)) {
      const { required } = GROUPS[group]!;
      const names = [...NUMBERS, ...URLS, ...OTHERS]
        .map(([, name]) => name)
        .filter((name) => !(name in required));
      expect(read(group, Object.fromEntries(names.map((name) => [name, ""])))).toEqual(read(group, {}));
    }
  });

  test("Responses is for OpenAI, Chat Completions for everybody else, unless it is said otherwise", () => {
    const apiOf = (env: object) => new Config({ ...MODEL, ...env }).model.api;
    const at = (url: string) => ({ OPENAI_BASE_URL: url });
    for (const url of [
      "https://api.openai.com/v1/",
      "https://eu.api.openai.com/v1",
      "https://API.OPENAI.COM/v1",
    ])
      expect(apiOf(at(url)), url).toBe("responses");
    for (const url of [
      "http://127.0.0.1:11434/v1",
      "https://api.openai.com.example.org/v1",
      "https://notapi.openai.com/v1",
      "https://my.openai.azure.com/openai/v1",
      "https://openrouter.ai/api/v1?api.openai.com",
    ])
      expect(apiOf(at(url)), url).toBe("chat");
    expect(apiOf({ OPENAI_API: "chat" })).toBe("chat");
    expect(apiOf({ ...at("http://127.0.0.1:1/v1"), OPENAI_API: "responses" })).toBe("responses");
  });

  test("a reasoning effort is sent when it is set, and where tools are refused without one", () => {
    const effortOf = (env: object) => new Config({ ...MODEL, ...env }).model.reasoningEffort;
    const local = { OPENAI_BASE_URL: "http://127.0.0.1:11434/v1" };
    for (const env of [{}, local, { ...local, OPENAI_API: "responses" }]) {
      expect(effortOf(env)).toBeUndefined();
      expect(effortOf({ ...env, OPENAI_REASONING_EFFORT: "low" })).toBe("low");
    }
    expect(effortOf({ OPENAI_API: "chat" })).toBe("none");
    expect(effortOf({ OPENAI_API: "chat", OPENAI_REASONING_EFFORT: "high" })).toBe("high");
    const slash = { OPENAI_API: "chat", OPENAI_BASE_URL: "https://api.openai.com/v1/" };
    expect(effortOf(slash)).toBe("none");
  });
});

const OTHERS = [
  ["authMode", "AUTH_MODE"],
  ["store", "CONVERSATIONS_TABLE"],
  ["model", "OPENAI_API"],
  ["model", "OPENAI_MODEL"],
  ["model", "OPENAI_FALLBACK_MODEL"],
  ["model", "OPENAI_REASONING_EFFORT"],
  ["weather", "WEATHER_PROVIDERS"],
  ["weather", "WEATHER_API_KEY"],
  ["weather", "OPEN_METEO_API_KEY"],
] as const;

test("each setting reaches its place", () => {
  expect(
    read("retry", { RETRY_MAX_ATTEMPTS: "0", RETRY_BASE_DELAY_MS: "10", RETRY_MAX_DELAY_MS: "20" }),
  ).toEqual({
    maxRetries: 0,
    baseMs: 10,
    capMs: 20,
  });
  expect(read("retentionDays", {})).toBeUndefined();
  expect(read("retentionDays", { RETENTION_DAYS: "30" })).toBe(30);
  for (const days of ["0", "36501", "1.5"]) {
    expect(failure("retentionDays", { RETENTION_DAYS: days }).message).toContain("RETENTION_DAYS");
  }
  expect(read("modelName", {})).toBe("gpt-5.4-mini");
  expect(read("sessionTtlMs", { SESSION_TTL_MINUTES: "5" })).toBe(300_000);
  expect(read("maxContextTokens", { MAX_CONTEXT_TOKENS: "128000" })).toBe(128_000);
  expect(read("store", { STORE: "dynamodb", CONVERSATIONS_TABLE: "other" })).toEqual({
    kind: "dynamodb",
    table: "other",
  });
  expect(read("store", { ...MONGO, MONGODB_DATABASE: "other" })).toEqual({
    kind: "mongodb",
    uri: MONGO.MONGODB_URI,
    database: "other",
  });
  expect(read("authMode", { AUTH_MODE: "none" })).toBe("none");
  expect(read("redis", { REDIS_TIMEOUT_MS: "250" })).toMatchObject({ timeoutMs: 250 });
  expect(
    read("model", {
      OPENAI_MODEL: "qwen3",
      OPENAI_FALLBACK_MODEL: "llama3",
      OPENAI_BASE_URL: "http://127.0.0.1:11434/v1",
      OPENAI_TIMEOUT_MS: "1000",
      MAX_OUTPUT_TOKENS: "300",
    }),
  ).toEqual({
    api: "chat",
    apiKey: "sk-secret",
    baseUrl: "http://127.0.0.1:11434/v1",
    name: "qwen3",
    fallback: "llama3",
    reasoningEffort: undefined,
    timeoutMs: 1_000,
    maxOutputTokens: 300,
  });
  expect(
    read("tools", {
      HOLIDAY_CALENDAR_LINK: "webcal://example.org/a.ics",
      CACHE_TTL_HOURS: "1",
      CIRCUIT_BREAKER_MAX_FAILURES: "5",
      CIRCUIT_BREAKER_COOLDOWN_SECONDS: "7",
      CIRCUIT_BREAKER_WINDOW_SECONDS: "9",
    }),
  ).toEqual({
    calendarLink: "webcal://example.org/a.ics",
    calendarFreshMs: 3_600_000,
    circuit: { maxFailures: 5, cooldownMs: 7_000, windowMs: 9_000 },
  });
});

describe("budgets", () => {
  const DOLLARS = ["BUDGET_USER_USD_PER_DAY", "BUDGET_KEY_USD_PER_DAY"];

  test("are none unless one is set, and what is not set has no limit", () => {
    expect(read("budgets", {})).toBeUndefined();
    expect(read("budgets", { BUDGET_USER_TOKENS_PER_DAY: "50000", BUDGET_KEY_USD_PER_DAY: "0.07" })).toEqual({
      user: { tokens: 50_000, nanoUsd: undefined },
      key: { tokens: undefined, nanoUsd: 70_000_000 },
    });
  });

  test.each(DOLLARS)("%s must be a number above 0", (name) => {
    expect(read("budgets", { [name]: "" })).toBeUndefined();
    for (const wrong of ["0", "-1", "1,5", "$1", "Infinity"]) {
      expect(failure("budgets", { [name]: wrong }).message, wrong).toContain(
        `${name}: must be a number of US dollars above 0`,
      );
    }
  });

  test("are reckoned with the settings' prices, each its own model's", () => {
    const { prices } = new Config({
      ...MODEL,
      OPENAI_MODEL: "qwen3",
      MODEL_PRICE: "1,2,3",
      OPENAI_FALLBACK_MODEL: "gpt-5.4-nano",
      FALLBACK_MODEL_PRICE: "4,5,6",
    });
    expect(prices.get("qwen3")).toEqual({ input: 1, cached: 2, output: 3 });
    expect(prices.get("gpt-5.4-nano")).toEqual({ input: 4, cached: 5, output: 6 });
    expect(new Config(MODEL).prices.get("gpt-5.4-mini")).toBeUndefined();
    for (const name of ["MODEL_PRICE", "FALLBACK_MODEL_PRICE"]) {
      expect(() => new Config({ ...MODEL, [name]: "1,2" }).prices).toThrow(
        `${name}: is not input,cached,output in US dollars for a million tokens`,
      );
    }
  });
});

describe("the weather's providers", () => {
  const weather = (env: Record<string, string>) => new Config(env).weather;

  test.each<[Record<string, string>, string[]]>([
    [{}, ["open-meteo"]],
    [{ WEATHER_API_KEY: "" }, ["open-meteo"]],
    [{ WEATHER_API_KEY: "w" }, ["weatherapi", "open-meteo"]],
    [{ WEATHER_API_KEY: "w", WEATHER_PROVIDERS: "" }, ["weatherapi", "open-meteo"]],
    [{ WEATHER_API_KEY: "w", WEATHER_PROVIDERS: "open-meteo" }, ["open-meteo"]],
    [{ WEATHER_API_KEY: "w", WEATHER_PROVIDERS: " open-meteo , weatherapi," }, ["open-meteo", "weatherapi"]],
    [{ WEATHER_API_KEY: "w", WEATHER_PROVIDERS: "weatherapi" }, ["weatherapi"]],
  ])("of %j are %j", (env, providers) => {
    expect(weather(env).providers).toEqual(providers);
  });

  test("are where the settings say", () => {
    expect(
      weather({
        WEATHER_API_KEY: "w",
        WEATHER_API_URL: "http://127.0.0.1:1/v1",
        OPEN_METEO_URL: "http://127.0.0.1:2/v1",
        OPEN_METEO_GEOCODING_URL: "http://127.0.0.1:3/v1",
        OPEN_METEO_API_KEY: "c",
      }),
    ).toEqual({
      providers: ["weatherapi", "open-meteo"],
      weatherApi: { key: "w", baseUrl: "http://127.0.0.1:1/v1" },
      openMeteo: {
        key: "c",
        forecastUrl: "http://127.0.0.1:2/v1",
        geocodingUrl: "http://127.0.0.1:3/v1",
      },
    });
  });

  test("for a customer of Open-Meteo are its servers for customers", () => {
    expect(weather({ OPEN_METEO_API_KEY: "c" }).openMeteo).toEqual({
      key: "c",
      forecastUrl: "https://customer-api.open-meteo.com/v1",
      geocodingUrl: "https://customer-geocoding-api.open-meteo.com/v1",
    });
  });

  test.each([
    ["hunter2", "WEATHER_PROVIDERS: knows weatherapi, open-meteo and nothing else"],
    ["open-meteo,hunter2", "WEATHER_PROVIDERS: knows weatherapi, open-meteo and nothing else"],
    ["Open-Meteo", "WEATHER_PROVIDERS: knows weatherapi, open-meteo and nothing else"],
    ["open-meteo,open-meteo", "WEATHER_PROVIDERS: names a provider twice"],
    [",", "WEATHER_PROVIDERS: is not set"],
    ["weatherapi", "WEATHER_API_KEY: is not set, and WEATHER_PROVIDERS names weatherapi"],
  ])("that are %j name the setting", (names, message) => {
    for (const key of [{}, { WEATHER_API_KEY: "" }]) {
      const error = failure("weather", { WEATHER_PROVIDERS: names, ...key });
      expect(error).toMatchObject({ code: "failed_precondition", message: expect.stringContaining(message) });
      expect(error.message).not.toContain("hunter2");
    }
  });
});

describe("a wrong setting is named and its value is not", () => {
  test.each(NUMBERS)("%s: %s", (group, name) => {
    const { required } = GROUPS[group]!;
    for (const value of ["many-3141", "-3141", "3141.5", "3141e400", "NaN", "3,141", "{}"]) {
      const error = failure(group, { ...required, [name]: value });
      expect(error.code).toBe("failed_precondition");
      expect(error.message).toContain(name);
      expect(error.message).not.toContain("3141");
      expect(error.message).toContain(".env.example");
    }
  });

  test.each(URLS)("%s: %s", (group, name) => {
    const { required } = GROUPS[group]!;
    for (const value of ["hunter2", "ftp://hunter2", "file:///hunter2", "//hunter2", "javascript:hunter2"]) {
      const error = failure(group, { ...required, [name]: value });
      expect(error).toMatchObject({ code: "failed_precondition" });
      expect(error.message).toContain(name);
      expect(error.message).not.toContain("hunter2");
    }
  });

  test("AUTH_MODE is none or nothing", () => {
    const error = failure("authMode", { AUTH_MODE: "hunter2" });
    expect(error.message).toContain("AUTH_MODE");
    expect(error.message).not.toContain("hunter2");
  });

  test("STORE is one of two", () => {
    for (const value of ["hunter2", "MongoDB", "mongodb "]) {
      expect(failure("store", { ...MONGO, STORE: value }).message).toBe(
        "Wrong settings: STORE: must be dynamodb or mongodb. See .env.example.",
      );
    }
  });

  test.each([
    [
      "MONGODB_URI",
      ["hunter2", "https://hunter2", "mongodb:hunter2", "postgres://a:hunter2@b", "mongodb://"],
    ],
    ["MONGODB_DATABASE", ["hunter2/x", "a.hunter2", "hunter2 ", "hunter2".repeat(10), "$hunter2", "a\u0000"]],
  ])("%s", (name, values) => {
    for (const value of values) {
      const { message } = failure("store", { ...MONGO, [name]: value });
      expect(message).toMatch(new RegExp(`^Wrong settings: ${name}: must be`));
      expect(message).not.toContain("hunter2");
    }
  });

  test("OPENAI_API is chat or responses", () => {
    for (const value of ["hunter2", "Chat", "completions", "assistants"]) {
      const error = failure("model", { ...MODEL, OPENAI_API: value });
      expect(error.message).toBe("Wrong settings: OPENAI_API: must be chat or responses. See .env.example.");
      expect(error.message).not.toContain("hunter2");
    }
  });

  test("too many retries are a mistake", () => {
    expect(failure("retry", { RETRY_MAX_ATTEMPTS: "11" }).message).toContain("RETRY_MAX_ATTEMPTS");
  });

  test("whatever the values are", async () => {
    const names = [...NUMBERS, ...URLS].map(([, name]) => name);
    const secret = fc.stringMatching(/^secret-[a-z0-9]{8}$/);
    await fc.assert(
      fc.property(fc.dictionary(fc.constantFrom(...names), secret, { minKeys: 1 }), (env) => {
        for (const group of Object.keys(GROUPS)) {
          const wrong = [...NUMBERS, ...URLS].filter(([of, name]) => of === group && name in env);
          if (wrong.length === 0) continue;
          const error = failure(group, { ...GROUPS[group]!.required, ...env });
          for (const [, name] of wrong) expect(error.message).toContain(name);
          expect(error.message).not.toContain("secret-");
        }
      }),
    );
  });
});

describe("a missing setting", () => {
  test.each([{}, { UPSTASH_REDIS_REST_URL: "", UPSTASH_REDIS_REST_TOKEN: "" }])(
    "is named: redis %j",
    (env) => {
      expect(failure("redis", env)).toMatchObject({
        code: "failed_precondition",
        message:
          "Wrong settings: UPSTASH_REDIS_REST_URL: is not set; UPSTASH_REDIS_REST_TOKEN: is not set. See .env.example.",
      });
    },
  );

  test.each([{}, { MONGODB_URI: "" }])("is named: MongoDB %j", (env) => {
    expect(failure("store", { STORE: "mongodb", ...env }).message).toMatch(
      /^Wrong settings: MONGODB_URI: (?:is not set|must begin)/,
    );
    // What DynamoDB needs is nobody's business then, and the other way round.
    expect(read("store", { ...MONGO, CONVERSATIONS_TABLE: "" })).toMatchObject({ database: "parley" });
    expect(read("store", { MONGODB_URI: "nonsense" })).toMatchObject({ kind: "dynamodb" });
  });

  test("is named: model", () => {
    expect(failure("model", {}).message).toBe(
      "Wrong settings: OPENAI_API_KEY: is not set. See .env.example.",
    );
  });

  test("is told together with the wrong ones", () => {
    const error = failure("redis", { UPSTASH_REDIS_REST_URL: "hunter2" });
    expect(error.message).toContain("UPSTASH_REDIS_REST_URL: Invalid");
    expect(error.message).toContain("UPSTASH_REDIS_REST_TOKEN: is not set");
  });
});

test("each group needs its own settings and nobody else's", () => {
  const all = [...NUMBERS, ...URLS].map(([, name]) => name);
  for (const [group, { read: get, required }] of Object.entries(GROUPS)) {
    const own: string[] = [...NUMBERS, ...URLS].filter(([of]) => of === group).map(([, name]) => name);
    const wrongElsewhere = Object.fromEntries(
      all.filter((name) => !own.includes(name) && !(name in required)).map((name) => [name, "wrong"]),
    );
    expect(get(new Config({ ...wrongElsewhere, ...required }))).toEqual(get(new Config({ ...required })));
  }
});
