import { api } from "../http/api.ts";
import { parseBody, parseTurnId, startRequest } from "../http/requests.ts";
import { turnBody, turnHeaders } from "../http/responses.ts";

/** `POST /v1/conversations`: a new conversation and the reply to its first message. */
export const handler = api(async ({ conversations }, { event, owner, deadline }) => {
  const { message, session_metadata: session } = parseBody(event, startRequest);
  const turn = await conversations.start({ owner, message, session, turnId: parseTurnId(event), deadline });
  return {
    status: 201,
    headers: { ...turnHeaders(turn), location: `/v1/conversations/${turn.conversationId}` },
    body: turnBody(turn),
  };
});
