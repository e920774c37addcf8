import { newTurnId } from "@parley/core/id";
import type { OutboxEntry } from "@parley/core/telegram/outbox";

/** Parts "part 0", "part 1"... that nobody has begun to say. */
export function entryOf(count: number, fields: Partial<OutboxEntry> = {}): OutboxEntry {
  const parts = Array.from({ length: count }, (_, index) => ({
    text: `part ${index}`,
    entities: [{ type: "bold" as const, offset: 0, length: 4 }],
    state: "pending" as const,
  }));
  return { id: newTurnId(), place: { chat: 7, thread: undefined }, replyTo: undefined, parts, ...fields };
}
