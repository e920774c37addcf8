import type { HttpRequest } from "@parley/local/gateway/http-event";
import { toEvent } from "@parley/local/gateway/http-event";
import type { APIGatewayProxyEventV2 } from "aws-lambda";
import { describe, expect, test } from "vitest";
import { fc } from "../../support/property.ts";

const identity = {
  accountId: "123456789012",
  apiId: "r3pmxmplak",
  requestId: "JKJaXmPLvHcESHA=",
  now: new Date(1583817383220),
};

function eventOf(
  request: Partial<HttpRequest>,
  path = "/things/{id}",
  pathParameters = {},
): APIGatewayProxyEventV2 {
  const route = { method: "POST", path, name: "f", entry: "f.ts" };
  return toEvent(
    {
      method: "POST",
      url: "/",
      httpVersion: "1.1",
      headersDistinct: {},
      remoteAddress: "::ffff:127.0.0.1",
      localPort: 3000,
      body: Buffer.alloc(0),
      ...request,
    },
    { route, pathParameters },
    identity,
  );
}

const withBody = (body: Buffer, contentType?: string) =>
  eventOf({ body, headersDistinct: contentType === undefined ? {} : { "content-type": [contentType] } });

/**
 * The sample event of Lambda's developer guide ("Using Lambda with API Gateway", payload 2.0), recorded there from a
 * browser's GET; stage "default" made "$default", as ours is.
 */
const recorded = {
  version: "2.0",
  routeKey: "POST /nodejs-apig",
  rawPath: "/nodejs-apig",
  rawQueryString: "",
  cookies: ["s_fid=7AABXMPL1AFD9BBF-0643XMPL09956DE2", "regStatus=pre-register"],
  headers: {
    accept: "text/html,application/xhtml+xml,application/xml;q=0.9",
    "accept-encoding": "gzip, deflate, br",
    "content-length": "0",
    host: "r3pmxmplak.execute-api.us-east-2.amazonaws.com",
    "sec-fetch-user": "?1",
    "user-agent": "Mozilla/5.0 (Windows NT 10.0; Win64; x64)",
    "x-amzn-trace-id": "Root=1-5e6722a7-cc56xmpl46db7ae02d4da47e",
    "x-forwarded-for": "205.255.255.176",
    "x-forwarded-port": "443",
    "x-forwarded-proto": "http",
  },
  requestContext: {
    accountId: "123456789012",
    apiId: "r3pmxmplak",
    domainName: "r3pmxmplak.execute-api.us-east-2.amazonaws.com",
    domainPrefix: "r3pmxmplak",
    http: {
      method: "POST",
      path: "/nodejs-apig",
      protocol: "HTTP/1.1",
      sourceIp: "205.255.255.176",
      userAgent: "Mozilla/5.0 (Windows NT 10.0; Win64; x64)",
    },
    requestId: "JKJaXmPLvHcESHA=",
    routeKey: "POST /nodejs-apig",
    stage: "$default",
    time: "10/Mar/2020:05:16:23 +0000",
    timeEpoch: 1583817383220,
  },
  isBase64Encoded: false,
};

describe("toEvent", () => {
  test("makes of a request what AWS recorded of it", () => {
    const { headers } = recorded;
    const event = eventOf(
      {
        url: "/nodejs-apig",
        headersDistinct: {
          accept: [headers.accept],
          "accept-encoding": [headers["accept-encoding"]],
          connection: ["keep-alive"],
          cookie: [recorded.cookies.join("; ")],
          host: [headers.host],
          "sec-fetch-user": [headers["sec-fetch-user"]],
          "user-agent": [headers["user-agent"]],
          "x-amzn-trace-id": [headers["x-amzn-trace-id"]],
        },
        remoteAddress: "205.255.255.176",
        localPort: 443,
      },
      "/nodejs-apig",
    );
    expect(event).toEqual(recorded);
  });

  test("joins what is repeated with commas, and decodes the query but not its raw form", () => {
    const event = eventOf({
      url: "/my/path?parameter1=value1&parameter1=value%202&parameter2=a+b&flag",
      headersDistinct: { header2: ["value1", "value2"], cookie: ["cookie1", "cookie2; cookie3"] },
    });
    expect(event.rawQueryString).toBe("parameter1=value1&parameter1=value%202&parameter2=a+b&flag");
    expect(event.queryStringParameters).toEqual({
      parameter1: "value1,value 2",
      parameter2: "a b",
      flag: "",
    });
    expect(event.headers["header2"]).toBe("value1,value2");
    expect(event.headers).not.toHaveProperty("cookie");
    expect(event.cookies).toEqual(["cookie1", "cookie2", "cookie3"]);
  });

  test("the raw path is delivered decoded, and one that cannot be decoded as it came", () => {
    expect(eventOf({ url: "/v1/caf%C3%A9%20bar" }).rawPath).toBe("/v1/café bar");
    expect(eventOf({ url: "/v1/100%" }).rawPath).toBe("/v1/100%");
  });

  test("what is absent is left out, not null", () => {
    expect(Object.keys(eventOf({ url: "/?" })).sort()).toEqual([
      "headers",
      "isBase64Encoded",
      "rawPath",
      "rawQueryString",
      "requestContext",
      "routeKey",
      "version",
    ]);
  });

  test.each([
    "application/json",
    "application/json; charset=utf-8",
    "APPLICATION/JSON",
    "text/plain",
    "text/csv;charset=utf-8",
    "application/xml",
    "application/javascript",
  ])("%s arrives as text", (type) => {
    const event = withBody(Buffer.from('{"é":"🙂"}'), type);
    expect([event.body, event.isBase64Encoded]).toEqual(['{"é":"🙂"}', false]);
  });

  test.each([
    undefined,
    "application/x-www-form-urlencoded",
    "application/problem+json",
    "application/octet-stream",
    "application/protobuf",
    "multipart/form-data; boundary=x",
    "application/jsonp",
    "nonsense",
  ])("%s arrives as base64", (type) => {
    return fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: 200 }), (bytes) => {
        const event = withBody(Buffer.from(bytes), type);
        expect(event.isBase64Encoded).toBe(true);
        expect(Buffer.from(event.body ?? "", "base64").equals(bytes)).toBe(true);
      }),
      { numRuns: 20 },
    );
  });

  test("content-length is the body's, also for a chunked upload", () => {
    const event = eventOf({
      body: Buffer.from("héllo"),
      headersDistinct: { "content-type": ["text/plain"], "transfer-encoding": ["chunked"] },
    });
    expect(event.headers["content-length"]).toBe("6");
    expect(event.headers).not.toHaveProperty("transfer-encoding");
  });

  test("the client's address ends the forwarded chain, and a trace is begun where there is none", () => {
    const event = eventOf({ headersDistinct: { "x-forwarded-for": ["203.0.113.9"] } });
    expect(event.headers["x-forwarded-for"]).toBe("203.0.113.9, 127.0.0.1");
    expect(event.requestContext.http.sourceIp).toBe("127.0.0.1");
    expect(event.headers["x-amzn-trace-id"]).toMatch(/^Root=1-5e6722a7-[0-9a-f]{24}$/);
  });
});
