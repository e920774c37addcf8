import { AppError, httpStatus, isAppError, toAppError } from "@parley/core/error";
import { expect, test } from "vitest";

test("every code has the status that Twirp gives it", () => {
  expect(httpStatus).toEqual({
    invalid_argument: 400,
    malformed: 400,
    out_of_range: 400,
    unauthenticated: 401,
    permission_denied: 403,
    not_found: 404,
    bad_route: 404,
    deadline_exceeded: 408,
    canceled: 408,
    already_exists: 409,
    aborted: 409,
    failed_precondition: 412,
    resource_exhausted: 429,
    internal: 500,
    unknown: 500,
    dataloss: 500,
    unimplemented: 501,
    unavailable: 503,
  });
});

test("an AppError stays what it is", () => {
  const error = new AppError("aborted", "Again in a moment.", {
    cause: "the cause",
    meta: { retry_after: "1" },
  });
  expect(toAppError(error)).toBe(error);
  expect(error).toMatchObject({ code: "aborted", cause: "the cause", meta: { retry_after: "1" } });
  expect(isAppError(error)).toBe(true);
  expect(isAppError(error, "aborted")).toBe(true);
  expect(isAppError(error, "internal")).toBe(false);
});

test.each([
  new Error("password=hunter2"),
  new AggregateError([]),
  "hunter2",
  undefined,
  null,
  { hunter2: 1 },
])("anything else is internal, its inside kept for the log: %s", (thrown) => {
  const error = toAppError(thrown);
  expect(error).toMatchObject({ code: "internal", meta: {} });
  expect(error.message).not.toContain("hunter2");
  expect(error.cause).toBe(thrown);
});

test("what looks like an AppError is none", () => {
  expect(isAppError({ name: "AppError", code: "aborted", meta: {} })).toBe(false);
  expect(isAppError(undefined)).toBe(false);
});
