import { AppError } from "@parley/core/error";
import { config } from "../config.ts";
import { chain } from "../http/chain.ts";
import { corsHeaders } from "../http/response-headers.ts";

const METHODS = "GET, POST, DELETE, OPTIONS";
const HEADERS = "authorization, content-type, idempotency-key, x-api-key, x-request-id";
const PREFLIGHT_SECONDS = "600";

/** Whatever no route matches: a CORS preflight for origins that are configured, `bad_route` for the rest. */
export const handler = chain().handler(async (event) => {
  const { method } = event.requestContext.http;
  const cors = corsHeaders(event, config);
  if (method === "OPTIONS" && "access-control-allow-origin" in cors) {
    return {
      statusCode: 204,
      headers: {
        "access-control-allow-methods": METHODS,
        "access-control-allow-headers": HEADERS,
        "access-control-max-age": PREFLIGHT_SECONDS,
      },
    };
  }
  throw new AppError("bad_route", "There is no such route.", { meta: { method } });
});
