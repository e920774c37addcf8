import { container } from "../answering.ts";
import { api } from "../http/api.ts";
import { parseConversationId, sessionOf, turnBody, turnHeaders } from "../http/responses.ts";
import { rpc } from "../http/rpc.ts";
import { continueConversation } from "./contract.ts";

/** The next turn of a conversation: by its id, or of the one that the session's chat is in. */
export const handler = api(
  container,
  continueConversation,
  async ({ conversations }, request, call) => {
    const { message } = request;
    const session = sessionOf(request.session_metadata);
    const turn =
      request.conversation_id === undefined && session
        ? await conversations.converse({ ...call, message, session })
        : await conversations.continue({ ...call, message, conversationId: parseConversationId(request) });
    return { headers: turnHeaders(turn), body: turnBody(turn) };
  },
  rpc,
);
