import { isAppError } from "@parley/core/error";
import { bodyLimits, jsonBody } from "@parley/functions/http/body";
import type { ApiEvent } from "@parley/functions/http/event";
import { describe, expect, test } from "vitest";
import { fc } from "../../support/property.ts";

const KB = 1024;
const JSON_TYPE = "application/json";
const PROTOBUF = "application/protobuf";

type Given = { body?: string; type?: string; base64?: boolean; path?: string; method?: string };

function eventOf({ body, type = JSON_TYPE, base64 = false, path = "/v1/messages", method = "POST" }: Given) {
  return {
    rawPath: path,
    headers: type === "" ? {} : { "content-type": type },
    requestContext: { http: { method } },
    ...(body === undefined ? {} : { body: base64 ? Buffer.from(body).toString("base64") : body }),
    isBase64Encoded: base64,
  } as unknown as ApiEvent;
}

const limit = (given: Given) => bodyLimits().before?.({ event: eventOf(given) } as never);

/** The body as the handler would find it. */
async function parsed(given: Given): Promise<unknown> {
  const event = eventOf(given);
  await jsonBody().before?.({ event } as never);
  return event.body;
}

/** The code and the meta of what is thrown; undefined when nothing is. */
async function refusal(work: () => unknown) {
  try {
    await work();
    return undefined;
  } catch (error) {
    if (!isAppError(error)) throw error;
    return { code: error.code, meta: error.meta, cause: error.cause };
  }
}

const refused = { code: "invalid_argument", meta: { argument: "body" } };

describe("a body's size", () => {
  // Of 1, 2, 3 and 4 bytes a character; 64 KB is no multiple of 3, which is what base64 is padded for.
  test.each(["x", "é", "€", "😀"])(
    "64 KB of %s are taken, a byte more is not, encoded or not",
    async (char) => {
      const whole = Math.floor((64 * KB) / Buffer.byteLength(char));
      const body = char
        .repeat(whole)
        .padEnd(whole * char.length + ((64 * KB) % Buffer.byteLength(char)), ".");
      expect(Buffer.byteLength(body)).toBe(64 * KB);
      for (const type of [JSON_TYPE, PROTOBUF]) {
        for (const base64 of [false, true]) {
          expect(await refusal(() => limit({ body, base64, type }))).toBeUndefined();
          for (const more of [".", "..", "...", "é"]) {
            expect(await refusal(() => limit({ body: body + more, base64, type }))).toMatchObject(refused);
          }
        }
      }
    },
  );

  test("no body, an empty one and a parsed one are no concern", () => {
    for (const body of [undefined, ""]) limit({ ...(body === undefined ? {} : { body }) });
    bodyLimits().before?.({ event: { ...eventOf({}), body: { some: "thing" } } } as never);
  });
});

describe("a body's depth", () => {
  const nested = (depth: number, open = "[", close = "]") => open.repeat(depth) + close.repeat(depth);

  test.each([
    ["[", "]"],
    ['{"a":', "}"],
  ])("16 levels of %s%s are taken, 17 are not", async (open, close) => {
    for (const base64 of [false, true]) {
      expect(await refusal(() => limit({ body: nested(16, open, close), base64 }))).toBeUndefined();
      expect(await refusal(() => limit({ body: nested(17, open, close), base64 }))).toMatchObject(refused);
    }
  });

  test.each([
    `["${"[".repeat(50)}"]`,
    `{"${"{".repeat(50)}":1}`,
    `["\\"${"[".repeat(50)}"]`,
    `["\\\\\\"${"[".repeat(50)}"]`,
    `[${"[],".repeat(50)}[]]`,
  ])("brackets in strings and those that are closed do not count: %s", async (body) => {
    JSON.parse(body);
    expect(await refusal(() => limit({ body }))).toBeUndefined();
  });

  test("a string that ends in a backslash ends", async () => {
    const body = `["\\\\",${nested(17)}]`;
    JSON.parse(body);
    expect(await refusal(() => limit({ body }))).toMatchObject(refused);
  });

  test("is that of the parsed value", async () => {
    const depthOf = (value: unknown): number =>
      typeof value === "object" && value !== null ? 1 + Math.max(0, ...Object.values(value).map(depthOf)) : 0;
    const deep = fc
      .tuple(fc.json({ maxDepth: 6 }), fc.integer({ min: 8, max: 17 }))
      .map(([inner, depth]) => `${"[".repeat(depth)}${inner}${"]".repeat(depth)}`);
    await fc.assert(
      fc.asyncProperty(fc.oneof(fc.json({ maxDepth: 6 }), deep), async (body) => {
        const tooDeep = depthOf(JSON.parse(body)) > 16;
        expect((await refusal(() => limit({ body }))) !== undefined).toBe(tooDeep);
      }),
    );
  });

  test("is no matter of protobuf", () => {
    limit({ body: "[".repeat(100), type: PROTOBUF });
  });

  test("takes no longer for a hostile body of 64 KB", () => {
    const startedAt = performance.now();
    for (const char of ["[", "]", '"', "\\", '"\\', "{}"]) {
      try {
        limit({ body: char.repeat((64 * KB) / char.length) });
      } catch {
        // Too deep.
      }
    }
    expect(performance.now() - startedAt).toBeLessThan(500);
  });
});

describe("a body's media type", () => {
  const TWIRP = "/twirp/acai.chat.ChatService/StartConversation";

  test.each([
    JSON_TYPE,
    "application/json; charset=utf-8",
    "application/json;charset=UTF-8",
    "Application/JSON",
    " application/json ",
    "application/vnd.api+json",
    "application/merge-patch+json",
  ])("REST takes %j", async (type) => {
    expect(await parsed({ body: '{"a":1}', type })).toEqual({ a: 1 });
    expect(await parsed({ body: '{"a":1}', type, base64: true })).toEqual({ a: 1 });
  });

  const neither = [
    "",
    "text/plain",
    "text/json",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=application/json",
    "application/jsonp",
    "application/json+xml",
    "application/json, text/html",
    "xapplication/json",
    "application/x-protobuf",
  ];

  test.each([...neither, PROTOBUF])("REST refuses %j", async (type) => {
    expect(await refusal(() => parsed({ body: "{}", type }))).toMatchObject({
      code: "malformed",
      meta: { header: "content-type" },
    });
  });

  test.each([...neither, "application/vnd.api+json"])("Twirp has no route for %j", async (type) => {
    expect(await refusal(() => parsed({ body: "{}", type, path: TWIRP }))).toMatchObject({
      code: "bad_route",
      meta: { header: "content-type" },
    });
  });

  test("Twirp takes protobuf as it comes", async () => {
    expect(await parsed({ body: "\u0001", type: PROTOBUF, path: TWIRP })).toBe("\u0001");
    expect(await parsed({ body: "{}", type: "application/json", path: TWIRP })).toEqual({});
  });

  test("is asked of a POST alone", async () => {
    for (const method of ["GET", "DELETE"]) {
      expect(await parsed({ body: "text", type: "", method })).toBe("text");
    }
  });
});

describe("a body that is not JSON", () => {
  test.each([undefined, "", "{", "{'a':1}", "\uFEFF{}", "{}\u0000", "undefined", "NaN", "{}{}", "\u0000"])(
    "%j is malformed, and stays out of the error",
    async (body) => {
      const error = await refusal(() => parsed(body === undefined ? {} : { body }));
      expect(error).toEqual({ code: "malformed", meta: {}, cause: undefined });
    },
  );

  test.each([
    '{"__proto__":{"polluted":true}}',
    '{"a":{"__proto__":{"polluted":true}}}',
    '[{"\\u005f_proto__":{"polluted":true}}]',
    '{"constructor":{"prototype":{"polluted":true}}}',
  ])("%s is malformed and changes no object", async (body) => {
    expect(await refusal(() => parsed({ body }))).toMatchObject({ code: "malformed" });
    expect({}).not.toHaveProperty("polluted");
  });
});
