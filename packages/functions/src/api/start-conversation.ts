import { container } from "../answering.ts";
import { api } from "../http/api.ts";
import { sessionOf, turnBody, turnHeaders } from "../http/responses.ts";
import { rpc } from "../http/rpc.ts";
import { startConversation } from "./contract.ts";

/** A new conversation and the reply to its first message. */
export const handler = api(
  container,
  startConversation,
  async ({ conversations }, { message, session_metadata }, call) => {
    const turn = await conversations.start({ ...call, message, session: sessionOf(session_metadata) });
    return {
      status: 201,
      headers: { ...turnHeaders(turn), location: `/v1/conversations/${turn.conversationId}` },
      body: turnBody(turn),
    };
  },
  rpc,
);
