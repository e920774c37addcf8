import { matchRoute } from "@parley/local/gateway/route-table";
import { describe, expect, test } from "vitest";
import { fc } from "../../support/property.ts";

const route = (method: string, path: string) => ({ method, path, name: `${method} ${path}`, entry: "x.ts" });

const routes = [
  route("GET", "/{proxy+}"),
  route("GET", "/v1/things/{id}"),
  route("ANY", "/v1/things/special"),
  route("GET", "/v1/things/special"),
  route("POST", "/v1/things/{id}/parts"),
  route("GET", "/files/{path+}"),
];

const find = (method: string, path: string) => {
  const match = matchRoute(routes, method, path);
  return match && [match.route.name, match.pathParameters];
};

describe("matchRoute", () => {
  test.each([
    ["GET", "/v1/things/7", ["GET /v1/things/{id}", { id: "7" }]],
    ["GET", "/v1/things/special", ["GET /v1/things/special", {}]],
    ["PUT", "/v1/things/special", ["ANY /v1/things/special", {}]],
    ["POST", "/v1/things/7/parts", ["POST /v1/things/{id}/parts", { id: "7" }]],
    ["GET", "/files/a/b%20c.txt", ["GET /files/{path+}", { path: "a/b c.txt" }]],
    ["GET", "/v1/things/7/parts", ["GET /{proxy+}", { proxy: "v1/things/7/parts" }]],
    ["GET", "/v1/things/", ["GET /{proxy+}", { proxy: "v1/things/" }]],
    ["GET", "/v1/things/%F0%9F%99%82", ["GET /v1/things/{id}", { id: "🙂" }]],
    ["GET", "/v1/things/%zz", ["GET /v1/things/{id}", { id: "%zz" }]],
    ["POST", "/v1/things//parts", undefined],
    ["POST", "/v1/things/7/parts/", undefined],
    ["POST", "/v1/things/7", undefined],
    ["GET", "/", undefined],
  ])("%s %s", (method, path, expected) => {
    expect(find(method, path)).toEqual(expected);
  });

  test("a path parameter comes back as it was before it was encoded", () => {
    return fc.assert(
      fc.property(fc.string({ minLength: 1, unit: "grapheme" }), (id) => {
        const match = matchRoute([route("GET", "/a/{id}/b")], "GET", `/a/${encodeURIComponent(id)}/b`);
        expect(match?.pathParameters).toEqual({ id });
      }),
    );
  });

  test("the order in which routes are written does not matter", () => {
    return fc.assert(
      fc.property(fc.shuffledSubarray(routes, { minLength: routes.length }), (shuffled) => {
        expect(matchRoute(shuffled, "GET", "/v1/things/special")?.route.path).toBe("/v1/things/special");
        expect(matchRoute(shuffled, "GET", "/v1/things/7")?.route.path).toBe("/v1/things/{id}");
      }),
    );
  });
});
