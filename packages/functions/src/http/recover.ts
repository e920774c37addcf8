import type { Logger } from "@aws-lambda-powertools/logger";
import { type AppError, httpStatus, toAppError } from "@parley/core/error";
import type { ApiResult, Middleware } from "./event.ts";

/**
 * The innermost middleware: whatever was thrown becomes an error body `{ code, msg, meta }` with its status. It assigns
 * the response and returns nothing, for a returned value would stop the outer middlewares, which flush metrics and logs.
 */
export function recover(logger: Pick<Logger, "error" | "warn">): Middleware {
  return {
    onError: (request) => {
      const error = toAppError(request.error);
      const status = httpStatus[error.code];
      const fields = { code: error.code, ...(error.cause === undefined ? {} : { error: error.cause }) };
      if (status >= 500) logger.error(error.message, fields);
      else logger.warn(error.message, fields);
      request.response = errorResponse(error);
    },
  };
}

export function errorResponse(error: AppError): ApiResult {
  const { retry_after, ...meta } = error.meta;
  const retryAfter =
    retry_after ?? (error.code === "unavailable" || error.code === "resource_exhausted" ? "1" : undefined);
  return {
    statusCode: httpStatus[error.code],
    headers: { "content-type": "application/json", ...(retryAfter && { "retry-after": retryAfter }) },
    body: JSON.stringify({ code: error.code, msg: error.message, meta }),
  };
}
