import jsonBodyParser from "@middy/http-json-body-parser";
import { AppError } from "@parley/core/error";
import { type ApiEvent, isTwirp, type Middleware, mediaType } from "./event.ts";

const MAX_BODY_BYTES = 64 * 1024;
/** Deeper than any request of ours, and far from what a recursive reader could stumble over. */
const MAX_DEPTH = 16;

/**
 * The size and depth of a body, before anybody parses it. @throws AppError invalid_argument
 */
export function bodyLimits(): Middleware {
  return {
    before: ({ event }) => {
      if (typeof event.body !== "string") return;
      const bytes = Buffer.byteLength(event.body, event.isBase64Encoded ? "base64" : "utf8");
      if (bytes > MAX_BODY_BYTES) throw tooBig(`over ${MAX_BODY_BYTES} bytes`);
      if (mediaType(event) === PROTOBUF) return;
      const text = event.isBase64Encoded ? Buffer.from(event.body, "base64").toString("utf8") : event.body;
      if (depthOf(text) > MAX_DEPTH) throw tooBig(`nested deeper than ${MAX_DEPTH} levels`);
    },
  };
}

const tooBig = (what: string) =>
  new AppError("invalid_argument", `The body must not be ${what}.`, { meta: { argument: "body" } });

/** The deepest nesting of a JSON text, brackets within strings not counted. */
export function depthOf(text: string): number {
  let depth = 0;
  let deepest = 0;
  let inString = false;
  for (let i = 0; i < text.length; i++) {
    const char = text[i];
    if (inString) {
      if (char === "\\") i++;
      else if (char === '"') inString = false;
    } else if (char === '"') inString = true;
    else if (char === "{" || char === "[") deepest = Math.max(deepest, ++depth);
    else if (char === "}" || char === "]") depth--;
  }
  return deepest;
}

export const PROTOBUF = "application/protobuf";
const JSON_TYPE = /^application\/(?:[\w.-]+\+)?json$/;

/**
 * Middy's parser for JSON bodies, its errors in our words: 415 and 422 are not in our table, and the body stays out of
 * the cause. A protobuf body is left to the Twirp codec.
 */
export function jsonBody(): Middleware {
  const parse = jsonBodyParser({ disableContentTypeCheck: true }).before;
  return {
    before: async (request) => {
      const { event } = request;
      if (event.requestContext.http.method !== "POST") return;
      checkMediaType(event);
      if (mediaType(event) === PROTOBUF) return;
      try {
        await parse?.(request as never);
      } catch {
        throw new AppError("malformed", "The body is not valid JSON.");
      }
    },
  };
}

function checkMediaType(event: ApiEvent) {
  const type = mediaType(event);
  if (isTwirp(event)) {
    if (type === "application/json" || type === PROTOBUF) return;
    // Twirp's word for it: https://twitchtv.github.io/twirp/docs/spec_v7.html
    throw new AppError("bad_route", `Unexpected content-type: send application/json or ${PROTOBUF}.`, {
      meta: { header: "content-type" },
    });
  }
  if (JSON_TYPE.test(type)) return;
  throw new AppError("malformed", "Send the body as JSON with content-type: application/json.", {
    meta: { header: "content-type" },
  });
}
