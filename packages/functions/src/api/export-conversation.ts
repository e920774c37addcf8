import { container } from "../container.ts";
import { api } from "../http/api.ts";
import { conversationBody, messageBody, parseConversationId } from "../http/responses.ts";
import { exportConversation } from "./contract.ts";

/** A whole conversation as one JSON document, to keep. */
export const handler = api(
  container,
  exportConversation,
  async ({ conversations }, request, { owner, deadline }) => {
    const id = parseConversationId(request);
    const { conversation, messages } = await conversations.export(owner, id, deadline);
    return {
      headers: { "content-disposition": `attachment; filename="${id}.json"` },
      body: { ...conversationBody(conversation), messages: messages.map(messageBody) },
    };
  },
);
