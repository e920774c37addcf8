import { startConversation } from "@parley/functions/api/contract";
import { bodyLimits, jsonBody } from "@parley/functions/http/body";
import { chain } from "@parley/functions/http/chain";
import { check } from "@parley/functions/http/check";
import { readRest, writeRest } from "@parley/functions/http/rest";

/** The edge of every function of the API, without what asks other services: all that a request costs by itself. */
export const handler = chain()
  .use(bodyLimits())
  .use(jsonBody())
  .handler(async (event) => {
    const { message } = check(startConversation.request, readRest(event));
    return { statusCode: 200, ...writeRest({ reply: message }) };
  });
