import { randomBytes } from "node:crypto";
import type { IncomingMessage } from "node:http";
import type { RouteMatch } from "./route-table.ts";
import { decode, routeKeyOf } from "./route-table.ts";

/** The parts of a received HTTP request that become the event. */
export type HttpRequest = Pick<IncomingMessage, "method" | "url" | "httpVersion" | "headersDistinct"> & {
  remoteAddress: string | undefined;
  localPort: number | undefined;
  body: Buffer;
};

export type EventIdentity = { accountId: string; apiId: string; requestId: string; now: Date };

/** Hop-by-hop headers end at API Gateway. */
const NOT_FORWARDED = new Set(["connection", "cookie", "keep-alive", "te", "transfer-encoding", "upgrade"]);

/** What HTTP APIs pass as text; everything else, a form and a missing content type too, arrives as base64. */
const TEXT_TYPE = /^(?:text\/[^;]+|application\/(?:json|xml|javascript))\s*(?:;|$)/i;

const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/** The event of an HTTP API with payload format 2.0, as the function on AWS would receive it. */
export function toEvent(
  request: HttpRequest,
  { route, pathParameters }: RouteMatch,
  identity: EventIdentity,
) {
  const [path = "/", query = ""] = splitUrl(request.url ?? "/");
  // HTTP APIs deliver the "raw" path decoded; only the query string stays as it was sent.
  const rawPath = decode(path);
  const routeKey = routeKeyOf(route);
  const sourceIp = (request.remoteAddress ?? "127.0.0.1").replace(/^::ffff:/, "");
  const headers = forwardedHeaders(request, sourceIp, identity.now);
  const domainName = (headers["host"] ?? "localhost").replace(/:\d+$/, "");
  const cookies = (request.headersDistinct["cookie"] ?? []).flatMap((header) => header.split(/;\s*/));
  const queryStringParameters = queryParameters(query);
  const isText = TEXT_TYPE.test(headers["content-type"] ?? "");
  return {
    version: "2.0",
    routeKey,
    rawPath,
    rawQueryString: query,
    ...(cookies.length > 0 ? { cookies } : {}),
    headers,
    ...(query === "" ? {} : { queryStringParameters }),
    ...(Object.keys(pathParameters).length > 0 ? { pathParameters } : {}),
    requestContext: {
      accountId: identity.accountId,
      apiId: identity.apiId,
      domainName,
      domainPrefix: domainName.split(".")[0] ?? domainName,
      http: {
        method: request.method ?? "GET",
        path: rawPath,
        protocol: `HTTP/${request.httpVersion}`,
        sourceIp,
        userAgent: headers["user-agent"] ?? "",
      },
      requestId: identity.requestId,
      routeKey,
      stage: "$default",
      time: commonLogTime(identity.now),
      timeEpoch: identity.now.getTime(),
    },
    ...(request.body.length > 0 ? { body: request.body.toString(isText ? "utf8" : "base64") } : {}),
    isBase64Encoded: request.body.length > 0 && !isText,
  };
}

export function splitUrl(url: string): [path: string, query: string] {
  const at = url.indexOf("?");
  return at === -1 ? [url, ""] : [url.slice(0, at), url.slice(at + 1)];
}

/** Lower-cased names, repeated headers joined by commas, and what API Gateway itself adds. */
function forwardedHeaders(request: HttpRequest, sourceIp: string, now: Date): Record<string, string> {
  const headers: Record<string, string> = {};
  for (const [name, values] of Object.entries(request.headersDistinct)) {
    if (values !== undefined && !NOT_FORWARDED.has(name)) headers[name] = values.join(",");
  }
  headers["content-length"] = String(request.body.length);
  headers["x-forwarded-for"] = [headers["x-forwarded-for"], sourceIp].filter(Boolean).join(", ");
  headers["x-forwarded-port"] = String(request.localPort ?? 80);
  headers["x-forwarded-proto"] = "http";
  if (!headers["x-amzn-trace-id"]?.includes("Root=")) headers["x-amzn-trace-id"] = newTraceId(now);
  return headers;
}

/** A trace that begins here, as in `x-amzn-trace-id`. */
export function newTraceId(now: Date): string {
  const seconds = Math.floor(now.getTime() / 1000);
  return `Root=1-${seconds.toString(16)}-${randomBytes(12).toString("hex")}`;
}

function queryParameters(query: string): Record<string, string> {
  const parameters = new Map<string, string>();
  for (const [name, value] of new URLSearchParams(query)) {
    const earlier = parameters.get(name);
    parameters.set(name, earlier === undefined ? value : `${earlier},${value}`);
  }
  return Object.fromEntries(parameters);
}

/** For example 12/Mar/2020:19:03:58 +0000. */
function commonLogTime(date: Date): string {
  const day = String(date.getUTCDate()).padStart(2, "0");
  return `${day}/${MONTHS[date.getUTCMonth()]}/${date.getUTCFullYear()}:${date.toISOString().slice(11, 19)} +0000`;
}
