import { type ErrorCode, httpStatus } from "@parley/core/error";
import * as z from "@parley/core/schema";
import { schemaOf } from "./json-schema.ts";

const error = z
  .object({
    code: z.enum(Object.keys(httpStatus)).check(z.meta({ description: "Twirp's" })),
    msg: z.string(),
    meta: z.record(z.string(), z.string()),
  })
  .check(z.meta({ description: "The body of every failure" }));

const header = (type: "string" | "integer", description: string, required = false) => ({
  description,
  required,
  schema: { type },
});

const headers = {
  "x-request-id": header("string", "The request's own when it sent one, else a new one", true),
  "retry-after": header("integer", "Seconds to wait before another try"),
  "x-ratelimit-limit": header("integer", "Requests that may come at once"),
  "x-ratelimit-remaining": header("integer", "How many of them are left"),
  "x-ratelimit-reset": header("integer", "Seconds until there are more"),
  "idempotent-replayed": header("string", "`true` when an earlier request got this answer first"),
  location: header("string", "The conversation's path"),
  "content-disposition": header("string", "A file name for the document"),
};
export type HeaderName = keyof typeof headers;

export const RATE_LIMIT: readonly HeaderName[] = [
  "x-ratelimit-limit",
  "x-ratelimit-remaining",
  "x-ratelimit-reset",
];

/** Headers of a response; `x-request-id` is on every one. */
export const headerRefs = (names: readonly HeaderName[] = []) =>
  Object.fromEntries(
    (["x-request-id", ...names] as const).map((name) => [name, { $ref: `#/components/headers/${name}` }]),
  );

type Failure = { code: ErrorCode; msg: string; meta?: Record<string, string> };

const failure = (description: string, example: Failure, names: readonly HeaderName[] = []) => ({
  description,
  headers: headerRefs([...names, ...RATE_LIMIT]),
  content: {
    "application/json": {
      schema: { $ref: "#/components/schemas/Error" },
      example: { meta: {}, ...example },
    },
  },
});

/** By status; `default` for any other. */
const responses = {
  400: failure("The request is wrong; `meta.argument` names the field", {
    code: "invalid_argument",
    msg: "message: must not be blank",
    meta: { argument: "message" },
  }),
  401: failure("No key, or not a valid one", {
    code: "unauthenticated",
    msg: "Send a valid API key as X-API-Key or Authorization: Bearer.",
  }),
  404: failure("No such conversation, or another key's; in Twirp also an unexpected content-type", {
    code: "not_found",
    msg: "There is no such conversation.",
  }),
  408: failure(
    "Not enough time; the same Idempotency-Key completes the turn",
    { code: "deadline_exceeded", msg: "There was not enough time to finish the answer. Send it again." },
    ["retry-after"],
  ),
  409: failure(
    "The Idempotency-Key came with another message before, or its turn is still being answered",
    { code: "already_exists", msg: "This idempotency key was used for another message." },
    ["retry-after"],
  ),
  429: failure(
    "Too many requests; or a daily budget is used up, `meta.budget` of `user` or `key`, until `meta.resets_at`",
    { code: "resource_exhausted", msg: "Too many requests: slow down." },
    ["retry-after"],
  ),
  503: failure(
    "The store or the model is unavailable",
    {
      code: "unavailable",
      msg: "The conversation store is unavailable right now. Try again in a moment.",
    },
    ["retry-after"],
  ),
  default: failure("Any other failure", {
    code: "internal",
    msg: "Something went wrong on our side. The request id helps us find out what.",
  }),
};

export const failureRefs = (statuses: readonly (keyof typeof responses)[]) =>
  Object.fromEntries(statuses.map((status) => [status, { $ref: `#/components/responses/${status}` }]));

export const idempotencyKeyRef = { $ref: "#/components/parameters/idempotencyKey" };

export const components = {
  securitySchemes: {
    apiKey: { type: "apiKey", in: "header", name: "X-API-Key" },
    bearer: { type: "http", scheme: "bearer" },
  },
  parameters: {
    idempotencyKey: {
      name: "Idempotency-Key",
      in: "header",
      description: "The client's name for this turn, such as a UUID: sent again, it gets the same answer",
      schema: { type: "string", pattern: "^[!-~]{1,255}$" },
    },
  },
  headers,
  responses,
  schemas: { Error: schemaOf(error) },
};
