import { api } from "../http/api.ts";
import {
  continueRequest,
  converseRequest,
  parseBody,
  parseConversationId,
  parseTurnId,
} from "../http/requests.ts";
import { turnBody, turnHeaders } from "../http/responses.ts";

/**
 * `POST /v1/conversations/{id}/messages`: the next turn of a conversation.
 * `POST /v1/messages`: the next turn of the conversation that a chat is in, by its session metadata.
 */
export const handler = api(async ({ conversations }, { event, owner, deadline }) => {
  const turnId = parseTurnId(event);
  const ask = { owner, turnId, deadline };
  if (event.pathParameters?.["id"] !== undefined) {
    const conversationId = parseConversationId(event);
    const { message } = parseBody(event, continueRequest);
    const turn = await conversations.continue({ ...ask, conversationId, message });
    return { status: 200, headers: turnHeaders(turn), body: turnBody(turn) };
  }
  const { message, session_metadata: session } = parseBody(event, converseRequest);
  const turn = await conversations.converse({ ...ask, message, session });
  return { status: 200, headers: turnHeaders(turn), body: turnBody(turn) };
});
