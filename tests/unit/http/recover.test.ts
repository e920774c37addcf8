import middy from "@middy/core";
import { AppError, type ErrorCode, httpStatus } from "@parley/core/error";
import type { ApiEvent, ApiResult } from "@parley/functions/http/event";
import { recover } from "@parley/functions/http/recover";
import { expect, test } from "vitest";

type Line = { level: "warn" | "error"; message: unknown; fields: Record<string, unknown> };

/** What a chain of nothing but `recover` answers when its handler throws `thrown`, and what it logs. */
async function answerTo(thrown: unknown) {
  const lines: Line[] = [];
  const log = (level: Line["level"]) => (message: unknown, fields: unknown) =>
    lines.push({ level, message, fields: fields as Line["fields"] });
  const handler = middy<ApiEvent, ApiResult>()
    .use(recover({ warn: log("warn"), error: log("error") } as never))
    .handler(async () => {
      throw thrown;
    });
  const result = (await handler({} as ApiEvent, {} as never)) as ApiResult & { body: string };
  return { result, json: JSON.parse(result.body) as Record<string, unknown>, lines };
}

test.each(Object.entries(httpStatus) as [ErrorCode, number][])(
  "%s is answered with %d",
  async (code, status) => {
    const error = new AppError(code, "What the client may know.", {
      cause: new Error("hunter2"),
      meta: { argument: "x" },
    });
    const { result, json, lines } = await answerTo(error);
    expect(result.statusCode).toBe(status);
    expect(json).toEqual({ code, msg: "What the client may know.", meta: { argument: "x" } });
    expect(JSON.stringify(result)).not.toContain("hunter2");
    expect(lines).toEqual([
      {
        level: status >= 500 ? "error" : "warn",
        message: "What the client may know.",
        fields: { code, error: error.cause },
      },
    ]);
  },
);

test.each([
  new TypeError("password=hunter2 at /var/task/index.mjs:1:1"),
  "hunter2",
  { secret: "hunter2", statusCode: 418, body: "hunter2" },
  Object.assign(new Error("hunter2"), { statusCode: 200, expose: true }),
  // One that only looks like ours.
  Object.assign(new Error("hunter2"), { name: "AppError", code: "not_found" }),
  null,
  undefined,
  0,
])("%s of unknown kind is internal, told to the log and to nobody else", async (thrown) => {
  const { result, json, lines } = await answerTo(thrown);
  expect(result.statusCode).toBe(500);
  expect(json).toEqual({ code: "internal", msg: expect.stringMatching(/^Something went wrong/), meta: {} });
  expect(JSON.stringify(result)).not.toMatch(/hunter2|\/var\/task/);
  expect(lines).toHaveLength(1);
  expect(lines[0]).toMatchObject({ level: "error" });
  if (thrown !== undefined) expect(lines[0]?.fields["error"]).toBe(thrown);
});

test("retry_after becomes a header, and 429 and 503 have one in any case", async () => {
  const after = async (error: AppError) => {
    const { result, json } = await answerTo(error);
    expect(json["meta"]).toEqual({});
    return result.headers?.["retry-after"];
  };
  expect(await after(new AppError("aborted", "Wait.", { meta: { retry_after: "4" } }))).toBe("4");
  expect(await after(new AppError("unavailable", "Wait."))).toBe("1");
  expect(await after(new AppError("resource_exhausted", "Wait."))).toBe("1");
  expect(await after(new AppError("not_found", "None."))).toBeUndefined();
});
