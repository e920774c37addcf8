import { AppError } from "@parley/core/error";
import type { Container } from "../container.ts";
import type { Middleware } from "./event.ts";

/** Where response-headers.ts finds what is left of the limit, whether or not the request was let through. */
export const RATE_LIMIT_HEADERS = "rateLimitHeaders";

/** Per key and source address: API Gateway's own and never a header's. @throws AppError resource_exhausted */
export function rateLimit(container: () => Pick<Container, "limits">): Middleware {
  return {
    before: async (request) => {
      const { authorizer, http } = request.event.requestContext;
      const { headers, retryAfterS } = await container().limits.request(
        authorizer?.lambda.owner ?? "",
        http.sourceIp,
      );
      request.internal[RATE_LIMIT_HEADERS] = headers;
      if (retryAfterS !== undefined) throw tooMany(retryAfterS);
    },
  };
}

export const tooMany = (retryAfterS: number) =>
  new AppError("resource_exhausted", "Too many requests: slow down.", {
    meta: { retry_after: String(retryAfterS) },
  });
