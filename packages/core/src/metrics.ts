/** CloudWatch's namespace for them, unless `POWERTOOLS_METRICS_NAMESPACE` tells stages of one account apart. */
export const NAMESPACE = "Parley";
/** The dimension `service`, which every metric has. */
export const SERVICE = "parley";

/**
 * The dimensions, each with the values that it may take: few and bounded, for every combination is a metric of its own
 * to CloudWatch, and to its bill. `open` are names out of our own code or settings: the tools on the list, the model
 * that is configured, the services that are called, the deployed functions. Never a user, a chat or a conversation.
 */
export const dimensions = {
  platform: ["api", "cli", "telegram", "other"],
  outcome: ["done", "failed", "stopped", "refused"],
  source: ["redis", "store", "new"],
  cache: ["title", "weather-current", "weather-forecast", "holidays"],
  action: ["queue", "ignore", "stop", "callback"],
  budget: ["user", "key"],
  model: "open",
  tool: "open",
  dependency: "open",
  function_name: "open",
} as const;

export type DimensionName = keyof typeof dimensions;
export type DimensionValue<D extends DimensionName> = (typeof dimensions)[D] extends readonly (infer V extends
  string)[]
  ? V
  : string;

type Definition = {
  unit: "Count" | "Milliseconds";
  /** A metric is always emitted with all of them; CloudWatch does not add up over what it was not given. */
  dimensions: readonly DimensionName[];
  /** Emitted without them as well: for alarms and percentiles, which cannot be made of parts. */
  total?: true;
};

const counted = <const D extends readonly DimensionName[]>(...names: D) =>
  ({ unit: "Count", dimensions: names }) as const;
const timed = <const D extends readonly DimensionName[]>(...names: D) =>
  ({ unit: "Milliseconds", dimensions: names }) as const;
const withTotal = <T extends Definition>(definition: T) => ({ ...definition, total: true }) as const;

/**
 * Every metric that the product emits: the one list that code, dashboard and alarms share. Renaming a metric or a
 * dimension in one place alone does not compile.
 */
export const metrics = {
  Requests: counted(),
  /** Of each request 1 when it was answered with 4xx, else 0: the average is the share. */
  RequestRejections: counted(),
  /** The same of 5xx. */
  RequestFailures: counted(),
  RequestDuration: timed(),
  AuthenticationFailures: counted(),
  RateLimited: counted(),
  /** Let through unchecked, for Redis did not answer. */
  RateLimitUnavailable: counted(),

  Turns: withTotal(counted("platform", "outcome")),
  TurnDuration: withTotal(timed("platform", "outcome")),
  /** Of each turn 1 when its outcome is `failed`, else 0: the average is the share. */
  TurnFailures: counted(),
  TurnsReplayed: counted(),
  Sessions: counted("source"),
  SessionLookupDuration: timed(),
  StoreLoadDuration: timed(),
  StoreBeginDuration: timed(),
  ReplyDuration: timed(),
  StoreSaveDuration: timed(),
  TitleDuration: timed(),

  /** One request to the model, whatever became of it. */
  ModelCalls: counted("model"),
  ModelFailures: counted("model"),
  /** The model that answered in place of the first one. */
  ModelFallbacks: counted("model"),
  ModelDuration: withTotal(timed("model")),
  /** All that was sent, `ModelCachedTokens` included. */
  ModelInputTokens: counted("model"),
  ModelCachedTokens: counted("model"),
  ModelOutputTokens: counted("model"),
  /** Calls of the model that were not made, for a daily budget is used up or held by others. */
  BudgetRefusals: counted("budget"),
  /** Made without being counted, for Redis did not answer. */
  BudgetUnavailable: counted(),
  ToolCalls: counted("tool"),
  ToolFailures: counted("tool"),
  ToolDuration: withTotal(timed("tool")),

  CacheHits: counted("cache"),
  CacheMisses: counted("cache"),
  CacheStale: counted("cache"),
  CircuitOpened: withTotal(counted("dependency")),
  CircuitHalfOpened: withTotal(counted("dependency")),
  CircuitClosed: withTotal(counted("dependency")),
  CircuitRejections: withTotal(counted("dependency")),
  Retries: counted("dependency"),
  /** Would have been made, had the instance's budget of them not been used up. */
  RetriesRefused: counted("dependency"),
  RedisUnavailable: counted(),

  TelegramUpdates: counted("action"),
  /** From the receiver's sending an update to the worker's first attempt. */
  TelegramQueueDelay: timed(),
  TelegramSends: counted(),
  TelegramUncertainSends: counted(),
  TelegramRefusedSends: counted(),
  TelegramThrottled: counted(),
  TelegramForbidden: counted(),
  TelegramPlainFallbacks: counted(),
  TelegramFailedAttempts: counted(),
  TelegramDeadLetters: counted(),

  /** Powertools' own, by the name under which the function is deployed. */
  ColdStart: counted("function_name"),
} as const satisfies Record<string, Definition>;

export type MetricName = keyof typeof metrics;

/** The names and possible values of a metric's dimensions. */
export type Dimensions<M extends MetricName> = {
  readonly [D in (typeof metrics)[M]["dimensions"][number]]: DimensionValue<D>;
};

/** What comes after the name when a metric is counted: its value, 1 unless given, and all of its dimensions. */
export type Measured<M extends MetricName> = (typeof metrics)[M]["dimensions"] extends readonly []
  ? [value?: number]
  : [value: number, dimensions: Dimensions<M>];

/** The steps of a turn that have a metric of their own; the others are counted where their dimensions are known. */
export const stepDurations = {
  "session lookup": "SessionLookupDuration",
  "store load": "StoreLoadDuration",
  "store begin": "StoreBeginDuration",
  "assistant reply": "ReplyDuration",
  "store save": "StoreSaveDuration",
  title: "TitleDuration",
} as const satisfies Record<string, MetricName>;

export type StepName =
  | keyof typeof stepDurations
  | "chat service"
  | "model"
  | "summary"
  | `tool ${string}`
  | `weather ${string}`
  | "queue send"
  | "delivery";
