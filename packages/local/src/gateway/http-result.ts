import { validateHeaderName, validateHeaderValue } from "node:http";

export type HttpResult = { status: number; headers: Record<string, string | string[]>; body: Buffer };

/** Set by the server itself, whatever the function says. */
const NOT_FORWARDED = new Set(["connection", "content-length", "keep-alive", "transfer-encoding", "upgrade"]);

const BASE64 = /^[A-Za-z0-9+/]*={0,2}$/;

/**
 * What API Gateway makes of a function's JSON payload (format 2.0): an object with `statusCode` is a response,
 * anything else is the body of a 200. Returns undefined for a malformed response, which the client sees as a 500.
 */
export function toHttpResult(payload: string): HttpResult | undefined {
  const value: unknown = JSON.parse(payload);
  if (!isRecord(value) || value["statusCode"] === undefined) {
    return { status: 200, headers: { "content-type": "application/json" }, body: Buffer.from(payload) };
  }
  const status = Number(value["statusCode"]);
  if (!Number.isInteger(status) || status < 200 || status > 599) return undefined;
  const headers = toHeaders(value["headers"] ?? {}, value["cookies"] ?? []);
  const body = toBody(value["body"] ?? "", value["isBase64Encoded"] ?? false);
  return headers === undefined || body === undefined ? undefined : { status, headers, body };
}

function toHeaders(given: unknown, cookies: unknown): HttpResult["headers"] | undefined {
  if (!isRecord(given) || !Array.isArray(cookies)) return undefined;
  const headers: HttpResult["headers"] = { "content-type": "text/plain; charset=utf-8" };
  for (const [name, value] of Object.entries(given)) {
    if (value === null || NOT_FORWARDED.has(name.toLowerCase())) continue;
    if (typeof value === "object" || !isHeader(name, String(value))) return undefined;
    headers[name.toLowerCase()] = String(value);
  }
  if (
    !cookies.every((cookie): cookie is string => typeof cookie === "string" && isHeader("set-cookie", cookie))
  ) {
    return undefined;
  }
  if (cookies.length > 0) headers["set-cookie"] = cookies;
  return headers;
}

function toBody(body: unknown, isBase64Encoded: unknown): Buffer | undefined {
  if (typeof body !== "string" || typeof isBase64Encoded !== "boolean") return undefined;
  if (!isBase64Encoded) return Buffer.from(body);
  return BASE64.test(body) ? Buffer.from(body, "base64") : undefined;
}

function isHeader(name: string, value: string): boolean {
  try {
    validateHeaderName(name);
    validateHeaderValue(name, value);
    return true;
  } catch {
    return false;
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
