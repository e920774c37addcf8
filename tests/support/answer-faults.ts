import { fromBinary } from "@bufbuild/protobuf";
import { httpStatus } from "@parley/core/error";
import { ChatService } from "../../packages/functions/src/generated/acai/chat/chat_pb.js";
import { parseJson } from "./in-process.ts";
import type { WildRequest } from "./wild-requests.ts";

export type Answer = { status: number; headers: Record<string, unknown>; text: string; body: Buffer };

/** What no answer may show, and the one origin that may read it from a browser. */
export type Expected = { secrets: readonly string[]; origin: string };

/** An error says what is wrong, and does not repeat what it was given. */
const MAX_ERROR = 1_000;

const SECURITY_HEADERS = {
  "content-security-policy": /^default-src 'none'/,
  "referrer-policy": /^no-referrer$/,
  "strict-transport-security": /^max-age=\d{7,}/,
  "x-content-type-options": /^nosniff$/,
  "x-frame-options": /^DENY$/,
};
const INSIDES = /node_modules|\n\s+at |\.ts\b|\/packages\/|Error:|127\.0\.0\.1:\d/;
/** API Gateway's, or what the client sent when it is plain. */
const REQUEST_ID = /^[\w.+/=-]{1,64}$/;

/** What is wrong with an answer; undefined when nothing is. */
export function faultOf(request: WildRequest, answer: Answer, expected: Expected): string | undefined {
  const { status, headers, text } = answer;
  if (status >= 500 || status < 200) return `status ${status}`;
  if (!REQUEST_ID.test(String(headers["x-request-id"]))) return "no fit x-request-id";
  const given = request.headers["x-request-id"];
  if (given !== undefined && /^[\w.-]{1,64}$/.test(given) && headers["x-request-id"] !== given)
    return "another x-request-id";
  for (const [name, value] of Object.entries(SECURITY_HEADERS)) {
    if (!value.test(String(headers[name]))) return `no ${name}`;
  }
  const allowed = headers["access-control-allow-origin"];
  if (allowed !== undefined && allowed !== expected.origin) return `CORS for ${allowed}`;
  if (headers["x-injected"] !== undefined) return "a header was injected";
  const all = JSON.stringify(headers) + text;
  const shown = expected.secrets.find((secret) => all.includes(secret));
  if (shown !== undefined) return `shows ${shown}`;
  if (request.method === "HEAD" && text === "") return undefined;
  if (status >= 400) return errorFault(answer) ?? (INSIDES.test(text) ? "shows its inside" : undefined);
  return bodyFault(request, answer);
}

function errorFault({ status, headers, text }: Answer): string | undefined {
  if (headers["content-type"] !== "application/json") return "an error that is not JSON";
  const body = parseJson(text);
  if (typeof body !== "object" || body === null) return "an error without a body";
  const { code, msg, meta, ...rest } = body as Record<string, unknown>;
  if (Object.keys(rest).length > 0) return "an error that says more";
  if (text.length > MAX_ERROR) return "an error that repeats what it was given";
  if (typeof code !== "string" || typeof msg !== "string" || msg === "") return "an error without words";
  if (typeof meta !== "object" || meta === null || Array.isArray(meta)) return "meta is not an object";
  if (!Object.values(meta).every((value) => typeof value === "string")) return "meta is not of strings";
  return httpStatus[code as keyof typeof httpStatus] === status ? undefined : `${code} with ${status}`;
}

function bodyFault({ target }: WildRequest, { status, headers, text, body }: Answer): string | undefined {
  const type = headers["content-type"];
  if (type === "application/protobuf") {
    const name = /\/(\w+)(?:\?|$)/.exec(target)?.[1];
    const output = ChatService.methods.find((method) => method.name === name)?.output;
    return output && fromBinary(output, body) ? undefined : "protobuf of no method";
  }
  if (
    type === "application/json" &&
    headers["content-encoding"] === undefined &&
    parseJson(text) === undefined
  )
    return `not JSON: ${status}`;
  return undefined;
}
