import { toHttpResult } from "@parley/local/gateway/http-result";
import { describe, expect, test } from "vitest";
import { fc } from "../../support/property.ts";

const result = (value: unknown) => toHttpResult(JSON.stringify(value));

describe("a payload without statusCode is the body of a 200", () => {
  test.each([{ message: "hi" }, "hi", 7, null, [1], { statusCode: undefined }, { body: "x" }])(
    "%j",
    (value) => {
      const payload = JSON.stringify(value);
      const { status, headers, body } = toHttpResult(payload)!;
      expect([status, headers, body.toString()]).toEqual([
        200,
        { "content-type": "application/json" },
        payload,
      ]);
    },
  );

  test("whatever JSON it is", () => {
    return fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        fc.pre(!(typeof value === "object" && value !== null && "statusCode" in value));
        expect(toHttpResult(JSON.stringify(value))?.body.toString()).toBe(JSON.stringify(value));
      }),
    );
  });
});

describe("a payload with statusCode is a response", () => {
  test("status, headers, cookies and body", () => {
    const { status, headers, body } = result({
      statusCode: 201,
      headers: { "Content-Type": "application/json", "X-Count": 3, "x-flag": true, "x-none": null },
      cookies: ["a=1; Path=/", "b=2"],
      body: '{"é":"🙂"}',
    })!;
    expect([status, body.toString()]).toEqual([201, '{"é":"🙂"}']);
    expect(headers).toEqual({
      "content-type": "application/json",
      "x-count": "3",
      "x-flag": "true",
      "set-cookie": ["a=1; Path=/", "b=2"],
    });
  });

  test("no content type means text, no body means an empty one, a status may be a string of digits", () => {
    const { status, headers, body } = result({ statusCode: "204" })!;
    expect([status, headers, body.length]).toEqual([204, { "content-type": "text/plain; charset=utf-8" }, 0]);
  });

  test("bytes survive base64", () => {
    return fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        const body = Buffer.from(bytes).toString("base64");
        const decoded = result({ statusCode: 200, body, isBase64Encoded: true })!.body;
        expect(decoded.equals(bytes)).toBe(true);
      }),
    );
  });

  test("the connection's own headers are not the function's to set", () => {
    const { headers } = result({
      statusCode: 200,
      headers: { Connection: "close", "Content-Length": "9", "Transfer-Encoding": "chunked" },
    })!;
    expect(Object.keys(headers)).toEqual(["content-type"]);
  });
});

describe("a malformed response is refused", () => {
  test.each([
    { statusCode: null },
    { statusCode: "OK" },
    { statusCode: 0 },
    { statusCode: 99 },
    { statusCode: 200.5 },
    { statusCode: 600 },
    { statusCode: 200, body: { not: "text" } },
    { statusCode: 200, body: 7 },
    { statusCode: 200, body: "not base64!", isBase64Encoded: true },
    { statusCode: 200, isBase64Encoded: "yes" },
    { statusCode: 200, headers: ["a"] },
    { statusCode: 200, headers: { a: { b: "c" } } },
    { statusCode: 200, headers: { "bad name": "x" } },
    { statusCode: 200, headers: { a: "split\r\nSet-Cookie: x=1" } },
    { statusCode: 200, cookies: "a=1" },
    { statusCode: 200, cookies: [1] },
    { statusCode: 200, cookies: ["a=1\nb=2"] },
  ])("%j", (value) => {
    expect(result(value)).toBeUndefined();
  });
});
