import { api } from "../http/api.ts";
import { parseConversationId, parsePage } from "../http/requests.ts";
import { conversationBody, messageBodies } from "../http/responses.ts";

/** `GET /v1/conversations/{id}`: a conversation and its messages, oldest first. */
export const handler = api(async ({ conversations }, { event, owner }) => {
  const id = parseConversationId(event);
  const { conversation, turns } = await conversations.describe(owner, id, parsePage(event));
  return {
    status: 200,
    body: {
      conversation: { ...conversationBody(conversation), messages: turns.items.flatMap(messageBodies) },
      next_page_token: turns.nextToken,
    },
  };
});
