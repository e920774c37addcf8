/**
 * One route of the HTTP API, with API Gateway's `{parameter}` syntax; `$default` takes what no other matches.
 * `entry` is the handler's module, relative to this package's `src/`.
 */
export type Route = { method: string; path: string; name: string; entry: string };

const route = (method: string, path: string, name: string): Route => ({
  method,
  path,
  name,
  entry: `api/${name}.ts`,
});

const twirp = (rpc: string, name: string) => route("POST", `/twirp/acai.chat.ChatService/${rpc}`, name);

/** Every route in front of the API's functions. */
export const routes: readonly Route[] = [
  route("POST", "/v1/conversations", "start-conversation"),
  route("POST", "/v1/conversations/{id}/messages", "continue-conversation"),
  route("POST", "/v1/messages", "continue-conversation"),
  route("GET", "/v1/conversations", "list-conversations"),
  route("GET", "/v1/conversations/{id}", "describe-conversation"),
  route("DELETE", "/v1/conversations/{id}", "delete-conversation"),
  route("GET", "/v1/conversations/{id}/export", "export-conversation"),
  twirp("StartConversation", "start-conversation"),
  twirp("ContinueConversation", "continue-conversation"),
  twirp("ListConversations", "list-conversations"),
  twirp("DescribeConversation", "describe-conversation"),
  { method: "POST", path: "/telegram/{bot}", name: "telegram-webhook", entry: "telegram/webhook.ts" },
  route("GET", "/health", "health"),
  route("GET", "/ready", "health"),
  route("GET", "/openapi.json", "docs"),
  route("GET", "/docs", "docs"),
  route("GET", "/docs/{asset}", "docs"),
  route("ANY", "$default", "fallback"),
];
