import { type Route, routes } from "@parley/functions/api/routes";
import type { JsonValue, MessageType } from "@protobuf-ts/runtime";
import { current, type Method } from "./chat-protocol.ts";
import { type Answer, type Call, type Json, send } from "./http.ts";

export const ENCODINGS = ["REST", "Twirp JSON", "Twirp protobuf"] as const;
export type Encoding = (typeof ENCODINGS)[number];
export type Session = { platform: string; user_id: string; chat_id: string };

/** What a request may name, whatever the route makes of it. */
export type Parts = {
  conversation?: string;
  session?: Session;
  pageToken?: string;
  idempotencyKey?: string;
  message?: string;
};

/** Which of the parts a route takes. */
export type Operation = Record<keyof Parts, boolean>;
const operation = (...parts: (keyof Parts)[]): Operation => ({
  conversation: parts.includes("conversation"),
  session: parts.includes("session"),
  pageToken: parts.includes("pageToken"),
  idempotencyKey: parts.includes("idempotencyKey"),
  message: parts.includes("message"),
});

const start = operation("message", "session", "idempotencyKey");
const next = operation("message", "session", "idempotencyKey", "conversation");
const list = operation("pageToken");
const describe = operation("conversation", "pageToken");
const whole = operation("conversation");

/** Every route by `METHOD path`: what it takes from a caller with a key, or that it is open to everybody. */
export const operations: Readonly<Record<string, Operation | "open" | "webhook">> = {
  "POST /v1/conversations": start,
  "POST /v1/conversations/{id}/messages": next,
  "POST /v1/messages": next,
  "GET /v1/conversations": list,
  "GET /v1/conversations/{id}": describe,
  "DELETE /v1/conversations/{id}": whole,
  "GET /v1/conversations/{id}/export": whole,
  "POST /twirp/acai.chat.ChatService/StartConversation": start,
  "POST /twirp/acai.chat.ChatService/ContinueConversation": next,
  "POST /twirp/acai.chat.ChatService/ListConversations": list,
  "POST /twirp/acai.chat.ChatService/DescribeConversation": describe,
  "POST /telegram/{bot}": "webhook",
  "GET /health": "open",
  "GET /ready": "open",
  "GET /openapi.json": "open",
  "GET /docs": "open",
  "GET /docs/{asset}": "open",
  "ANY $default": "open",
};

export const nameOf = ({ method, path }: Route) => `${method} ${path}`;

/** A route in one of its encodings. */
export type Endpoint = { route: Route; encoding: Encoding; takes: Operation };

/** Every route that asks for a key, in every encoding. */
export const endpoints: readonly Endpoint[] = routes.flatMap((route) => {
  const takes = operations[nameOf(route)];
  if (takes === undefined || takes === "open" || takes === "webhook") return [];
  const encodings = ENCODINGS.filter((one) => route.path.startsWith("/twirp/") === (one !== "REST"));
  return encodings.map((encoding) => ({ route, encoding, takes }));
});

/** The endpoint of `METHOD path`, in REST or, of Twirp's, the first encoding. */
export function endpointOf(name: string): Endpoint {
  const found = endpoints.find(({ route }) => nameOf(route) === name);
  if (!found) throw new Error(`there is no ${name}`);
  return found;
}

export const titleOf = ({ route, encoding }: Endpoint) =>
  encoding === "REST" ? nameOf(route) : `${encoding} ${route.path.slice(route.path.lastIndexOf("/") + 1)}`;

/** The request that names `parts`, as far as the route takes them. A path without a conversation gets `-`. */
export function requestOf({ route, encoding, takes }: Endpoint, parts: Parts): Call {
  const inPath = route.path.includes("{id}");
  const path = route.path.replace("{id}", encodeURIComponent(parts.conversation ?? "-"));
  const fields = {
    ...(takes.message && { message: parts.message ?? "Hello" }),
    ...(takes.conversation && !inPath && parts.conversation && { conversation_id: parts.conversation }),
    ...(takes.session && parts.session && { session_metadata: parts.session }),
    ...(takes.pageToken && parts.pageToken && { page_token: parts.pageToken }),
  };
  const headers = parts.idempotencyKey === undefined ? {} : { "idempotency-key": parts.idempotencyKey };
  if (route.method !== "POST") {
    const query = new URLSearchParams(fields as Record<string, string>).toString();
    return { method: route.method, path: query ? `${path}?${query}` : path, headers };
  }
  const protobuf = encoding === "Twirp protobuf";
  const type = protobuf ? "application/protobuf" : "application/json";
  const body = protobuf
    ? typesOf(route).request.toBinary(typesOf(route).request.fromJson(fields))
    : JSON.stringify(fields);
  return { method: "POST", path, headers: { "content-type": type, ...headers }, body };
}

/** `json` is the answer in the contract's JSON shape, whatever its encoding. */
export type EndpointAnswer = Answer & { json: Json };

export async function ask(url: string, endpoint: Endpoint, parts: Parts, headers: Call["headers"] = {}) {
  const call = requestOf(endpoint, parts);
  const answer = await send(url, { ...call, headers: { ...call.headers, ...headers } });
  return { ...answer, json: decode(endpoint, answer) };
}

function decode({ route }: Endpoint, { headers, body }: Answer): Json {
  if (headers["content-type"] !== "application/protobuf") {
    return body.length === 0 ? {} : (JSON.parse(body.toString()) as Json);
  }
  const { response } = typesOf(route);
  const options = { useProtoFieldName: true, emitDefaultValues: true };
  return response.toJson(response.fromBinary(body), options) as Json;
}

type AnyMessage = Pick<MessageType<object>, "toBinary" | "fromBinary" | "toJson"> & {
  fromJson(json: JsonValue): object;
};

function typesOf({ path }: Route) {
  const method = path.slice(path.lastIndexOf("/") + 1) as Method;
  return current[method] as { request: AnyMessage; response: AnyMessage };
}
