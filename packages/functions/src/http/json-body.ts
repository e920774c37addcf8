import type { MiddlewareObj } from "@middy/core";
import jsonBodyParser from "@middy/http-json-body-parser";
import { AppError } from "@parley/core/error";
import type { APIGatewayProxyEventV2 } from "aws-lambda";

/** Middy's parser, its errors in our words: 415 and 422 are not in our table, and the body stays out of the cause. */
export function jsonBody(): MiddlewareObj<APIGatewayProxyEventV2> {
  const parser = jsonBodyParser();
  return {
    before: async (request) => {
      if (request.event.requestContext.http.method === "GET") return;
      try {
        await parser.before?.(request as never);
      } catch (error) {
        if ((error as { statusCode?: number }).statusCode === 415) {
          throw new AppError("malformed", "Send the body as JSON with content-type: application/json.", {
            meta: { header: "content-type" },
          });
        }
        throw new AppError("malformed", "The body is not valid JSON.");
      }
    },
  };
}
