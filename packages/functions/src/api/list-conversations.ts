import { api } from "../http/api.ts";
import { parsePage } from "../http/requests.ts";
import { conversationBody } from "../http/responses.ts";

/** `GET /v1/conversations`: the caller's conversations, newest activity first. */
export const handler = api(async ({ conversations }, { event, owner }) => {
  const { items, nextToken } = await conversations.list(owner, parsePage(event));
  return { status: 200, body: { conversations: items.map(conversationBody), next_page_token: nextToken } };
});
