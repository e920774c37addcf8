import type { Logger } from "@aws-lambda-powertools/logger";
import type { Telemetry } from "@parley/core/telemetry";
import type { Middleware } from "./event.ts";
import { requestIdOf } from "./request-id.ts";

/**
 * One log line and the metrics of a request: method, route, status, duration; and the request id on every response. The route and not the
 * path: what a client put there stays out of the log.
 */
export function requestLog(
  logger: Pick<Logger, "info" | "appendKeys">,
  telemetry: Pick<Telemetry, "count">,
): Middleware {
  let startedAt = 0;
  const finish: NonNullable<Middleware["after"]> = ({ event, context, response }) => {
    if (!response) return;
    response.headers = { ...response.headers, "x-request-id": requestIdOf(event, context) };
    const status = response.statusCode ?? 500;
    const duration = Math.round(performance.now() - startedAt);
    telemetry.count("Requests");
    telemetry.count("RequestDuration", duration);
    if (status >= 500) telemetry.count("RequestFailures");
    logger.info("request", {
      method: event.requestContext.http.method,
      route: event.routeKey,
      status,
      duration_ms: duration,
    });
  };
  return {
    before: ({ event, context }) => {
      // An instance works on one invocation at a time.
      startedAt = performance.now();
      logger.appendKeys({ request_id: requestIdOf(event, context) });
    },
    after: finish,
    onError: finish,
  };
}
