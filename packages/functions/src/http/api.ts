import { injectLambdaContext } from "@aws-lambda-powertools/logger/middleware";
import { logMetrics } from "@aws-lambda-powertools/metrics/middleware";
import middy from "@middy/core";
import { AppError } from "@parley/core/error";
import { Deadline, deadlineExceeded } from "@parley/core/resilience/deadline";
import type { Context } from "aws-lambda";
import type * as z from "zod";
import { type Container, config, container } from "../container.ts";
import { logger, metrics, telemetry, tracer } from "../observability.ts";
import { authenticate } from "./authenticate.ts";
import { bodyLimits, jsonBody } from "./body.ts";
import { check } from "./check.ts";
import { type ApiEvent, type ApiResult, isTwirp } from "./event.ts";
import { turnIdOf } from "./idempotency.ts";
import { rateLimit } from "./rate-limit.ts";
import { recover } from "./recover.ts";
import { requestLog } from "./request-log.ts";
import { responseHeaders } from "./response-headers.ts";
import { readRest, writeRest } from "./rest.ts";

/** Time kept back from Lambda's for storing the reply and answering, in milliseconds. */
const ANSWER_MARGIN_MS = 3_000;
/** When even that is over, the client still gets an answer and the logs and metrics are written. */
const LAST_WORD_MS = 300;

const tracing = tracer
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
    .use(logMetrics(metrics, { captureColdStartMetric: true }))
    .use(tracing)
    .use(injectLambdaContext(logger, { resetKeys: true }))
    .use(requestLog(logger, telemetry))
    .use(responseHeaders(config))
    .use(recover(logger));

export type Call = {
  /** Who asks: everything is read and written as this owner's. */
  owner: string;
  /** The client's `Idempotency-Key`. */
  turnId: string | undefined;
  deadline: Deadline;
};

export type Reply = {
  /** REST's; Twirp answers 200. Default 200. */
  status?: number;
  headers?: Record<string, string>;
  /** In the contract's JSON shape; absent where there is nothing to say. */
  body?: unknown;
};

/**
 * A function of the API: one operation behind authentication, rate limit and limits on the body, the same for REST,
 * Twirp JSON and Twirp protobuf. `run` gets what the contract's request schema made of the request.
 */
export const api = <T>(
  contract: { request: z.ZodType<T> },
  run: (container: Container, request: T, call: Call) => Promise<Reply>,
) =>
  chain()
    .use(authenticate(container, telemetry))
    .use(rateLimit(container))
    .use(bodyLimits())
    .use(jsonBody())
    .handler(async (event: ApiEvent, context: Context, { signal }: { signal: AbortSignal }) => {
      // Twirp's runtime is loaded where Twirp is spoken.
      const twirp = isTwirp(event) ? await import("./twirp.ts") : undefined;
      const request = check(contract.request, twirp ? twirp.readTwirp(event) : readRest(event));
      const owner = event.requestContext.authorizer?.lambda.owner;
      if (owner === undefined) throw new AppError("unauthenticated", "Nobody is known to ask.");
      const deadline = new Deadline(context.getRemainingTimeInMillis() - ANSWER_MARGIN_MS, { signal });
      const {
        status = 200,
        headers,
        body,
      } = await run(container(), request, {
        owner,
        turnId: turnIdOf(event),
        deadline,
      });
      const written = twirp ? twirp.writeTwirp(event, body) : writeRest(body);
      return { ...written, statusCode: twirp ? 200 : status, headers: { ...headers, ...written.headers } };
    });
