import type { Logger } from "@aws-lambda-powertools/logger";
import { elapsedMs, type Telemetry } from "@parley/core/telemetry";
import type { Middleware } from "./event.ts";
import { requestIdOf } from "./request-id.ts";

/**
 * One log line and the metrics of a request: method, path, status, duration, the trace's and the request's id; and the
 * request id on every response. The path is the route's, `/v1/conversations/{id}`: what a client put there stays out.
 */
export function requestLog(
  logger: Pick<Logger, "info" | "appendKeys">,
  telemetry: Pick<Telemetry, "count" | "annotate">,
): Middleware {
  let startedAt = 0;
  const finish: NonNullable<Middleware["after"]> = ({ event, context, response }) => {
    if (!response) return;
    response.headers = { ...response.headers, "x-request-id": requestIdOf(event, context) };
    const status = response.statusCode ?? 500;
    const { method } = event.requestContext.http;
    // "POST /v1/messages", or "$default".
    const path = event.routeKey.split(" ").at(-1) ?? "";
    const duration = elapsedMs(startedAt);
    telemetry.count("Requests");
    telemetry.count("RequestDuration", duration);
    telemetry.count("RequestFailures", Number(status >= 500));
    telemetry.count("RequestRejections", Number(status >= 400 && status < 500));
    telemetry.annotate({ method, path, status });
    // The logger adds `xray_trace_id` and `request_id`.
    logger.info("request", { method, path, status, duration_ms: duration });
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
