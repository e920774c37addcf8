import type { Config } from "@parley/core/config";
import type { ApiEvent, Middleware } from "./event.ts";
import { RATE_LIMIT_HEADERS } from "./rate-limit.ts";

/** The API serves data and no documents: nothing may frame, sniff, cache or embed it. */
const SECURITY_HEADERS = {
  "cache-control": "no-store",
  "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
  "referrer-policy": "no-referrer",
  "strict-transport-security": "max-age=63072000; includeSubDomains",
  "x-content-type-options": "nosniff",
  "x-frame-options": "DENY",
} as const;

const EXPOSED =
  "idempotent-replayed, location, retry-after, x-request-id, x-ratelimit-limit, x-ratelimit-remaining, x-ratelimit-reset";

/** Security headers, CORS and what is left of the rate limit on every response, errors included; a handler's own header wins. */
export function responseHeaders(config: Pick<Config, "corsOrigins">): Middleware {
  const add: NonNullable<Middleware["after"]> = ({ event, response, internal }) => {
    if (!response) return;
    const limits = internal[RATE_LIMIT_HEADERS] as Record<string, string> | undefined;
    response.headers = { ...SECURITY_HEADERS, ...corsHeaders(event, config), ...limits, ...response.headers };
  };
  return { after: add, onError: add };
}

/** Closed unless the origin is configured, by name. */
export function corsHeaders(
  { headers }: ApiEvent,
  config: Pick<Config, "corsOrigins">,
): Record<string, string> {
  const origin = headers["origin"];
  if (origin === undefined || !config.corsOrigins.includes(origin)) return {};
  return { "access-control-allow-origin": origin, "access-control-expose-headers": EXPOSED, vary: "origin" };
}
