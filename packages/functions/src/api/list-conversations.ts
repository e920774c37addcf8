import { container } from "../container.ts";
import { api } from "../http/api.ts";
import { conversationBody } from "../http/responses.ts";
import { rpc } from "../http/rpc.ts";
import { listConversations } from "./contract.ts";

/** The caller's conversations without their messages, newest activity first. */
export const handler = api(
  container,
  listConversations,
  async ({ conversations }, { page_size, page_token }, { owner }) => {
    const page = await conversations.list(owner, { size: page_size, token: page_token });
    return {
      body: { conversations: page.items.map(conversationBody), next_page_token: page.nextToken ?? "" },
    };
  },
  rpc,
);
