import type { MiddlewareObj } from "@middy/core";
import type { APIGatewayProxyEventV2, APIGatewayProxyStructuredResultV2, Context } from "aws-lambda";

/** A request as API Gateway hands it over, and, once it is known, whose it is: where a Lambda authorizer would put it. */
export type ApiEvent = Omit<APIGatewayProxyEventV2, "body" | "requestContext"> & {
  body?: unknown;
  requestContext: APIGatewayProxyEventV2["requestContext"] & { authorizer?: { lambda: { owner: string } } };
};

export type ApiResult = APIGatewayProxyStructuredResultV2;
export type Middleware = MiddlewareObj<ApiEvent, ApiResult, Error, Context, Record<string, unknown>>;

const TWIRP_PREFIX = "/twirp/";
export const isTwirp = ({ rawPath }: Pick<ApiEvent, "rawPath">) => rawPath.startsWith(TWIRP_PREFIX);

/** The media type without parameters, lower-case; empty when absent. */
export const mediaType = ({ headers }: Pick<ApiEvent, "headers">) =>
  (headers["content-type"] ?? "").split(";", 1)[0]?.trim().toLowerCase() ?? "";
