/** Every metric that the product emits, with its unit: the one list that code, dashboards and alarms share. */
export const metrics = {
  Requests: "Count",
  RequestFailures: "Count",
  RequestDuration: "Milliseconds",
  AuthenticationFailures: "Count",
  RateLimited: "Count",
  RateLimitUnavailable: "Count",
  Turns: "Count",
  TurnsReplayed: "Count",
  ModelCalls: "Count",
  ModelInputTokens: "Count",
  ModelOutputTokens: "Count",
  ToolCalls: "Count",
  ToolFailures: "Count",
  CacheHits: "Count",
  CacheMisses: "Count",
  CacheStale: "Count",
  CircuitOpened: "Count",
  CircuitRejections: "Count",
  Retries: "Count",
  RedisUnavailable: "Count",
} as const;

export type MetricName = keyof typeof metrics;
