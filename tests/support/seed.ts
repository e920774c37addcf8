import type { ConversationStore } from "@parley/core/conversation/conversation-store";
import type { SessionMetadata, Turn } from "@parley/core/conversation/types";
import { newConversationId, newHolderId, newMessageId, newTurnId } from "@parley/core/id";

export type SeededTurn = {
  message: string;
  /** Absent: the turn stays open, and nobody holds it. */
  reply?: string;
};

/** Writes a conversation into a store without asking a model. Returns its id. */
export async function seed(
  store: Pick<ConversationStore, "begin" | "complete" | "release">,
  conversation: {
    owner: string;
    turns: readonly SeededTurn[];
    id?: string;
    title?: string;
    session?: SessionMetadata;
  },
): Promise<string> {
  const { owner, turns, id = newConversationId(), title = "Seeded", session } = conversation;
  for (const [turnCount, { message, reply }] of turns.entries()) {
    const now = Date.now();
    const lease = { holder: newHolderId(), until: now + 60_000 };
    const begun = await store.begin({
      conversationId: id,
      turnCount,
      owner,
      platform: "api",
      turnId: newTurnId(),
      digest: "seeded",
      message,
      messageId: newMessageId(now),
      lease,
      now,
      ...(session && { session: { ...session, leaving: "any", activeSince: 0 } }),
    });
    if (begun.outcome !== "begun") throw new Error(`a seeded turn was ${begun.outcome}`);
    if (reply === undefined) await store.release(begun.turn, lease.holder);
    else await complete(store, begun.turn, reply, title);
  }
  return id;
}

async function complete(store: Pick<ConversationStore, "complete">, turn: Turn, text: string, title: string) {
  const at = Date.now();
  const usage = { input: 1, output: 1, cached: 0 };
  const model = { tokens: 10, model: "seeded", promptVersion: "seeded", steps: [], usage };
  const reply = { text, messageId: newMessageId(at), at, ...model };
  await store.complete(turn, turn.lease?.holder ?? "", reply, turn.seq === 1 ? title : undefined);
}
