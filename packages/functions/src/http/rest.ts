import type { ApiEvent, ApiResult } from "./event.ts";

/** camelCase names of the contract, which requests may use as well. */
const OTHER_CASE: Readonly<Record<string, string>> = {
  conversationId: "conversation_id",
  sessionMetadata: "session_metadata",
  userId: "user_id",
  chatId: "chat_id",
  pageSize: "page_size",
  pageToken: "page_token",
};

/** The request in the contract's JSON shape: a POST's body or else the query, and the path, which has the last word. */
export function readRest({ body, queryStringParameters, pathParameters, requestContext }: ApiEvent): unknown {
  const given = requestContext.http.method === "POST" ? body : (queryStringParameters ?? {});
  if (!isRecord(given)) return given;
  const id = pathParameters?.["id"];
  return {
    ...toSnakeCase(given),
    ...(id === undefined ? {} : { conversation_id: id }),
  };
}

export function writeRest(body: unknown): Pick<ApiResult, "headers" | "body"> {
  if (body === undefined) return {};
  return { headers: { "content-type": "application/json" }, body: JSON.stringify(body) };
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

function toSnakeCase(value: Record<string, unknown>): Record<string, unknown> {
  const entries = Object.entries(value).map(([key, field]): [string, unknown] => {
    const name = Object.hasOwn(OTHER_CASE, key) ? (OTHER_CASE[key] ?? key) : key;
    return [name, name === "session_metadata" && isRecord(field) ? toSnakeCase(field) : field];
  });
  return Object.fromEntries(entries);
}
