import type { ConversationStore } from "@parley/core/conversation/conversation-store";
import type { Turn } from "@parley/core/conversation/types";

/** Every turn of a conversation, read in pages of `size`; `between` is awaited after each page. */
export async function allTurns(
  store: Pick<ConversationStore, "turnsAfter">,
  conversationId: string,
  size = 100,
  between?: (pages: number) => Promise<unknown>,
): Promise<Turn[]> {
  const all: Turn[] = [];
  for (let pages = 1, more = true; more; pages++) {
    const page = await store.turnsAfter(conversationId, all.at(-1)?.seq ?? 0, size);
    all.push(...page.turns);
    more = page.more;
    if (more) await between?.(pages);
  }
  return all;
}
