import { container } from "../container.ts";
import { api } from "../http/api.ts";
import { parseConversationId } from "../http/responses.ts";
import { deleteConversation } from "./contract.ts";

/** Erases a conversation: its messages, its idempotency keys, its session. */
export const handler = api(
  container,
  deleteConversation,
  async ({ conversations }, request, { owner, deadline }) => {
    await conversations.delete(owner, parseConversationId(request), deadline);
    return { status: 204 };
  },
);
