import { injectLambdaContext } from "@aws-lambda-powertools/logger/middleware";
import middy from "@middy/core";
import { deadlineExceeded } from "@parley/core/resilience/deadline";
import { config } from "../config.ts";
import { metering } from "../metering.ts";
import { logger, telemetry, tracer } from "../observability.ts";
import type { ApiEvent, ApiResult } from "./event.ts";
import { recover } from "./recover.ts";
import { requestLog } from "./request-log.ts";
import { responseHeaders } from "./response-headers.ts";

/** When a function's time is over, the client still gets an answer and the logs and metrics are written. */
const LAST_WORD_MS = 300;

/** Nothing where tracing is off. */
export const tracing = tracer
  ? (await import("@aws-lambda-powertools/tracer/middleware")).captureLambdaHandler(tracer, {
      captureResponse: false,
    })
  : [];

/** The Middy chain of every function of the API, in the order of the seed: metrics, tracing, logging, recovery. */
export const chain = () =>
  middy<ApiEvent, ApiResult>({
    timeoutEarlyInMillis: LAST_WORD_MS,
    timeoutEarlyResponse: () => {
      throw deadlineExceeded();
    },
  })
    .use(metering)
    .use(tracing)
    .use(injectLambdaContext(logger, { resetKeys: true }))
    .use(requestLog(logger, telemetry))
    .use(responseHeaders(config))
    .use(recover(logger));
