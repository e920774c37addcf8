/** One HTTP API route: `entry` is the handler's module, relative to this package's `src/`. */
export type Route = { method: "GET" | "POST"; path: string; name: string; entry: string };

/** Every route in front of the API's functions, with API Gateway's `{parameter}` syntax. */
export const routes: readonly Route[] = [
  {
    method: "POST",
    path: "/v1/conversations",
    name: "start-conversation",
    entry: "api/start-conversation.ts",
  },
  {
    method: "POST",
    path: "/v1/conversations/{id}/messages",
    name: "continue-conversation",
    entry: "api/continue-conversation.ts",
  },
  {
    method: "POST",
    path: "/v1/messages",
    name: "continue-conversation",
    entry: "api/continue-conversation.ts",
  },
  {
    method: "GET",
    path: "/v1/conversations",
    name: "list-conversations",
    entry: "api/list-conversations.ts",
  },
  {
    method: "GET",
    path: "/v1/conversations/{id}",
    name: "describe-conversation",
    entry: "api/describe-conversation.ts",
  },
];
