import * as z from "../schema.ts";
import type { ConversationStore, Page, PageRequest } from "./conversation-store.ts";
import { decodeToken, encodeToken } from "./page-token.ts";
import { MAX_SEQ, type Turn } from "./types.ts";

/** One message of a conversation, as a reader sees it; `at` in milliseconds since the epoch. */
export type ChatMessage = { id: string; role: "user" | "assistant"; content: string; at: number };

/** The last message of a page: its turn, and which of the turn's two it was. */
const position = z.object({
  seq: z.int().check(z.minimum(1), z.maximum(MAX_SEQ)),
  role: z.enum(["user", "assistant"]),
});
type Position = z.infer<typeof position>;

export const messagesOf = ({ message, messageId, createdAt, reply }: Turn): ChatMessage[] => [
  { id: messageId, role: "user", content: message, at: createdAt },
  ...(reply ? [{ id: reply.messageId, role: "assistant" as const, content: reply.text, at: reply.at }] : []),
];

/** A page of messages, oldest first. A page may end between a message and its reply; the next begins with the reply. */
export async function messagePage(
  store: Pick<ConversationStore, "turnsAfter">,
  conversationId: string,
  { size, token }: PageRequest,
): Promise<Page<ChatMessage>> {
  const after: Position | undefined = token === undefined ? undefined : decodeToken(token, position);
  const within = after?.role === "user" ? after.seq : undefined;
  const from = within === undefined ? (after?.seq ?? 0) : within - 1;
  // Two messages a turn, and one turn more for a page that begins or ends within one.
  const { turns, more } = await store.turnsAfter(conversationId, from, Math.ceil(size / 2) + 1);
  const all = turns.flatMap((turn) =>
    messagesOf(turn)
      .filter(({ role }) => turn.seq !== within || role === "assistant")
      .map((message) => ({ message, position: { seq: turn.seq, role: message.role } })),
  );
  const page = all.slice(0, size);
  const last = page.at(-1)?.position ?? after;
  return {
    items: page.map(({ message }) => message),
    nextToken: last && (more || all.length > size) ? encodeToken(last) : undefined,
  };
}
