import { AppError } from "@parley/core/error";
import { Deadline } from "@parley/core/resilience/deadline";
import type * as z from "@parley/core/schema";
import type { Context } from "aws-lambda";
import type { Container } from "../container.ts";
import { telemetry } from "../observability.ts";
import { authenticate } from "./authenticate.ts";
import { bodyLimits, jsonBody } from "./body.ts";
import { chain } from "./chain.ts";
import { check } from "./check.ts";
import { type ApiEvent, isTwirp } from "./event.ts";
import { turnIdOf } from "./idempotency.ts";
import { rateLimit } from "./rate-limit.ts";
import { readRest, writeRest } from "./rest.ts";
import type { rpc } from "./rpc.ts";

/** Time kept back from Lambda's for storing the reply and answering, in milliseconds. */
const ANSWER_MARGIN_MS = 3_000;

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
 * Twirp JSON and Twirp protobuf. `run` gets what the contract's request schema made of the request. Operations that
 * Twirp has too are given `rpc`.
 */
export const api = <C extends Container, T>(
  container: () => C,
  contract: { request: z.ZodMiniType<T> },
  run: (container: C, request: T, call: Call) => Promise<Reply>,
  codec?: typeof rpc,
) =>
  chain()
    .use(authenticate(container, telemetry))
    .use(rateLimit(container))
    .use(bodyLimits())
    .use(jsonBody())
    .handler(async (event: ApiEvent, context: Context, { signal }: { signal: AbortSignal }) => {
      const twirp = isTwirp(event) ? await codec?.() : undefined;
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
