import type { Context } from "aws-lambda";
import type { ApiEvent } from "./event.ts";

// Nothing that could end a header or a log line.
const REQUEST_ID = /^[\w.-]{1,64}$/;

/** The client's `x-request-id` when it is fit to be repeated, else API Gateway's. */
export function requestIdOf(
  { headers, requestContext }: ApiEvent,
  context: Pick<Context, "awsRequestId">,
): string {
  const given = headers["x-request-id"];
  if (given !== undefined && REQUEST_ID.test(given)) return given;
  return requestContext.requestId || context.awsRequestId;
}
