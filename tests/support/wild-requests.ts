import { routes } from "@parley/functions/api/routes";
import { fc } from "./property.ts";
import {
  type Damage,
  damage,
  damaged,
  FIELDS,
  JSON_TYPE,
  type Known,
  noContent,
  one,
  PROTOBUF,
  PROTOTYPE_NAMES,
  rightContent,
  text,
  weighted,
  wrongContent,
} from "./wild-bodies.ts";

/** What a client might send, hostile ones above all. `target` has nothing that would end a request line. */
export type WildRequest = {
  method: string;
  target: string;
  headers: Record<string, string>;
  body: Buffer;
};

const oddNumber = one<unknown>(-1, -0, 0, 1.5, 1e300, 2 ** 53, 9_999_999_998, 9_999_999_999, null, true);

function queries({ ids, pageTokens }: Known) {
  const position = fc.record(
    {
      id: fc.oneof(one(...ids, "", "\\ud800"), text),
      at: fc.oneof(fc.maxSafeNat(), oddNumber),
      seq: fc.oneof(fc.integer({ min: -1, max: 5 }), oddNumber),
      role: one("user", "assistant", "nobody"),
    },
    { requiredKeys: [] },
  );
  const forged = position.map((value) =>
    Buffer.from(JSON.stringify(value).replaceAll('"\\\\ud800"', '"\\ud800"')).toString("base64url"),
  );
  const token = fc.oneof(one(...pageTokens), forged, forged, text, one("e30", "bnVsbA", "A".repeat(1_001)));
  const size = fc.oneof(
    fc.integer({ min: -2, max: 105 }).map(String),
    one("1e1", "0x10", "1e999", "NaN", "-0", " 7 ", "٣", "9".repeat(400), "1,2", "true", "[1]"),
  );
  const pair = fc.oneof(
    fc.tuple(one("page_size", "pageSize"), size),
    fc.tuple(one("page_token", "pageToken"), token),
    fc.tuple(one(...FIELDS, ...PROTOTYPE_NAMES, "page_size[]", "page_size[0]", ""), text),
  );
  const encoded = pair.map((parts) => parts.map((part) => encodeURIComponent(part.toWellFormed())).join("="));
  const raw = one(
    "page_size=%",
    "page_token=%ff%fe",
    "%00=%00",
    "page_size=1&page_size=2",
    "&&&",
    "=",
    "?",
    "a",
  );
  return weighted(
    [4, fc.constant("")],
    [5, fc.array(encoded, { minLength: 1, maxLength: 3 }).map((pairs) => `?${pairs.join("&")}`)],
    [1, raw.map((query) => `?${query}`)],
  );
}

const oddSegment = fc.oneof(
  one("..", ".", "%2e%2e", "%2e%2e%2f", "..%2f..%2f", "%00", "%ff", "%zz", "%", "%2F", "%25", "{id}", "*"),
  one("conv_", "CONV%23", `conv_${"0".repeat(26)}`, "x".repeat(8_000), "__proto__", "constructor", ";a=b"),
  text.map((value) => encodeURIComponent(value.toWellFormed())),
);

function places({ ids, disposableIds, othersIds }: Known) {
  const segment = (own: readonly string[]) =>
    weighted(
      [4, one(...own)],
      [2, one(...othersIds)],
      [2, oddSegment],
      [1, one("start.js", "index.html", "swagger-ui.css")],
    );
  const known = one(...routes).chain(({ method, path }) =>
    segment(method === "DELETE" ? disposableIds : ids).map((value) => ({
      method: method === "ANY" ? "GET" : method,
      path: path === "$default" ? `/${value}` : path.replace(/\{\w+\}/, value),
    })),
  );
  const turned = fc.tuple(known, oddSegment, fc.integer({ min: 0, max: 5 })).map(([place, odd, how]) => {
    const { path } = place;
    const changed = [
      `${path}/`,
      `/${path}`,
      `${path}/${odd}`,
      path.toUpperCase(),
      `/${odd}${path}`,
      `${path}%00`,
    ];
    return { ...place, path: changed[how] ?? path };
  });
  const method = one("GET", "POST", "PUT", "PATCH", "OPTIONS", "HEAD", "delete");
  const place = weighted([9, known], [1, turned]);
  return weighted(
    [12, place],
    [1, fc.tuple(place, method).map(([{ path }, other]) => ({ method: other, path }))],
  );
}

function headersOf({ secret, wrongKey, origin }: Known) {
  const odd = fc.oneof(
    text,
    one("", " ", "a\r\nx-injected: 1", "\u0000", "x".repeat(5_000), "é", '"', "a,b", "*", "null", "$(id)"),
  );
  const wrong = one(
    wrongKey,
    `${wrongKey}${"x".repeat(5_000)}`,
    secret.slice(0, -1),
    `${secret}x`,
    ` ${secret} x`,
    secret.toUpperCase(),
    `${secret},${secret}`,
    "",
  );
  const credentials = weighted<Record<string, string>>(
    [
      18,
      one(
        { "x-api-key": secret },
        { authorization: `Bearer ${secret}` },
        { authorization: `bearer ${secret}` },
      ),
    ],
    [
      1,
      fc.oneof(
        fc.oneof(wrong, odd).map((key) => ({ "x-api-key": key })),
        fc.oneof(wrong, odd).map((key) => ({ authorization: `Bearer ${key}` })),
        one({ authorization: `Basic ${secret}` }, { authorization: secret }, {}),
        wrong.map((key) => ({ "x-api-key": key, authorization: `Bearer ${secret}` })),
      ),
    ],
  );
  const key = fc.oneof(
    one("k1", "k2", "a/b?c#d", "%00", "..", "!".repeat(255), "!".repeat(256), "__proto__"),
    odd,
  );
  const optional = fc.record(
    {
      "idempotency-key": key,
      "x-request-id": fc.oneof(one("req-1", "a.b_c-d", "x".repeat(64), "x".repeat(65)), odd),
      origin: fc.oneof(one(origin, "https://evil.example", `${origin}.evil.example`), odd),
      "accept-encoding": fc.oneof(one("gzip", "br", "gzip;q=0", "*"), odd),
      "content-encoding": fc.oneof(one("gzip", "identity", "br"), odd),
      "x-forwarded-for": fc.oneof(one("203.0.113.9", "127.0.0.1, ::1"), odd),
      "x-forwarded-host": odd,
      "access-control-request-method": one("POST", "DELETE", "X"),
      cookie: odd,
      "twirp-version": one("v7.2.0", "v8"),
      "x-amzn-trace-id": odd,
      accept: odd,
      "user-agent": odd,
    },
    { requiredKeys: [] },
  );
  return fc
    .tuple(credentials, weighted([2, optional], [1, fc.constant({})]))
    .map(([given, others]): Record<string, string> => ({ ...others, ...given }));
}

const oddType = fc.oneof(
  one(
    "",
    ";",
    "text/plain",
    "APPLICATION/JSON",
    "application/json; charset=utf-16",
    "application/json,text/html",
  ),
  one("application/vnd.api+json", "application/x-protobuf", "multipart/form-data; boundary=x", "json", "*/*"),
  one(JSON_TYPE, PROTOBUF, `${PROTOBUF}; proto=x`),
  text,
);

const whole = fc.constant<Damage>({ kind: "none", at: 0, byte: 0 });

/** Requests to every route and to none, from right to noise. */
export function wildRequests(known: Known): fc.Arbitrary<WildRequest> {
  const right = rightContent(known);
  const wrong = wrongContent(known);
  const query = queries(known);
  const headers = headersOf(known);
  return fc.tuple(places(known), one("calm", "wild", "wild", "wild")).chain(([{ method, path }, mood]) => {
    const isPost = method === "POST";
    const calm = mood === "calm";
    return fc
      .record({
        query: calm && isPost ? fc.constant("") : query,
        headers,
        content: isPost
          ? weighted([1, right(path)], [calm ? 0 : 1, wrong])
          : weighted([20, noContent], [calm ? 0 : 1, wrong]),
        otherType: weighted<string | undefined>([9, fc.constant(undefined)], [calm ? 0 : 1, oddType]),
        how: calm ? whole : damage,
      })
      .map(({ query, headers, content, otherType, how }) =>
        legible({
          method,
          target: path + query,
          headers: { "content-type": otherType ?? content.type, ...headers },
          body: damaged(content.body, how),
        }),
      );
  });
}

/** Reports show a body as text, and not all of it. */
function legible(request: WildRequest): WildRequest {
  const shown = { ...request, body: request.body.toString("latin1").slice(0, 1_000) };
  return Object.defineProperty(request, fc.toStringMethod, { value: () => JSON.stringify(shown) });
}
