import { injectLambdaContext } from "@aws-lambda-powertools/logger/middleware";
import { logMetrics } from "@aws-lambda-powertools/metrics/middleware";
import middy from "@middy/core";
import { Deadline, deadlineExceeded } from "@parley/core/resilience/deadline";
import type { APIGatewayProxyEventV2, APIGatewayProxyStructuredResultV2, Context } from "aws-lambda";
import { type Container, container } from "../container.ts";
import { logger, metrics, telemetry, tracer } from "../observability.ts";
import { authenticate } from "./auth.ts";
import { jsonBody } from "./json-body.ts";
import { recover } from "./recover.ts";
import { requestLog } from "./request-log.ts";

/** Time kept back from Lambda's for storing the reply and answering, in milliseconds. */
const ANSWER_MARGIN_MS = 3_000;
/** When even that is over, the client still gets an answer and the logs and metrics are written. */
const LAST_WORD_MS = 300;

export type Request = {
  event: APIGatewayProxyEventV2;
  /** Who asks: everything is read and written as this owner's. */
  owner: string;
  deadline: Deadline;
};

export type Result = { status: number; body: unknown; headers?: Record<string, string> };

/** An API function: the one Middy chain around an operation. */
export const api = (operation: (container: Container, request: Request) => Promise<Result>) =>
  middy<APIGatewayProxyEventV2, APIGatewayProxyStructuredResultV2>({
    timeoutEarlyInMillis: LAST_WORD_MS,
    timeoutEarlyResponse: () => {
      throw deadlineExceeded();
    },
  })
    .use(logMetrics(metrics, { captureColdStartMetric: true }))
    .use(tracing)
    .use(injectLambdaContext(logger, { resetKeys: true }))
    .use(requestLog(logger, telemetry))
    .use(recover(logger))
    .use(jsonBody())
    .handler(async (event, context: Context, { signal }: { signal: AbortSignal }) => {
      const parts = container();
      const owner = authenticate(parts.config);
      const deadline = new Deadline(context.getRemainingTimeInMillis() - ANSWER_MARGIN_MS, { signal });
      const { status, body, headers } = await operation(parts, { event, owner, deadline });
      return {
        statusCode: status,
        headers: { ...headers, "content-type": "application/json" },
        body: JSON.stringify(body),
      };
    });

const tracing = tracer
  ? (await import("@aws-lambda-powertools/tracer/middleware")).captureLambdaHandler(tracer, {
      captureResponse: false,
    })
  : [];
