import { container } from "../container.ts";
import { api } from "../http/api.ts";
import { conversationBody, messageBody, parseConversationId } from "../http/responses.ts";
import { rpc } from "../http/rpc.ts";
import { describeConversation } from "./contract.ts";

/** A conversation and a page of its messages, oldest first. */
export const handler = api(
  container,
  describeConversation,
  async ({ conversations }, request, { owner }) => {
    const page = { size: request.page_size, token: request.page_token };
    const { conversation, messages } = await conversations.describe(
      owner,
      parseConversationId(request),
      page,
    );
    return {
      body: {
        conversation: { ...conversationBody(conversation), messages: messages.items.map(messageBody) },
        next_page_token: messages.nextToken ?? "",
      },
    };
  },
  rpc,
);
