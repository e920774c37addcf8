import type { ConversationStore } from "@parley/core/conversation/conversation-store";
import { newConversationId } from "@parley/core/id";
import { expect, test } from "vitest";
import { begin, NOW, sessionClaim, turnToBegin } from "../support/stored-turns.ts";

/** Which conversation a chat is in: `begin` decides, `sessionConversation` tells. */
export function sessionContract(store: () => ConversationStore): void {
  const whereabouts = (session: ReturnType<typeof sessionClaim>, since = 0, owner = "owner") =>
    store().sessionConversation(owner, session, since);

  test("a chat is in the conversation of its last turn, as long as that is recent", async () => {
    const session = sessionClaim();
    expect(await whereabouts(session)).toBeUndefined();
    const { conversationId } = await begin(store(), { session });
    expect(await whereabouts(session, NOW)).toBe(conversationId);
    expect(await whereabouts(session, NOW + 1)).toBeUndefined();
    await begin(store(), { conversationId, turnCount: 1, session, now: NOW + 60_000 });
    expect(await whereabouts(session, NOW + 60_000)).toBe(conversationId);
  });

  test("a turn without a session leaves the chat where it is", async () => {
    const session = sessionClaim();
    const { conversationId } = await begin(store(), { session });
    await begin(store(), { conversationId, turnCount: 1, now: NOW + 60_000 });
    await begin(store(), {});
    expect(await whereabouts(session, NOW)).toBe(conversationId);
  });

  test("a chat that is in a conversation is told so, and nothing is stored", async () => {
    const session = sessionClaim();
    const { conversationId } = await begin(store(), { session });
    for (const leaving of [undefined, newConversationId()]) {
      const request = turnToBegin({ session: { ...session, leaving } });
      expect(await store().begin(request)).toEqual({ outcome: "moved", conversationId });
      expect(await store().load(request.conversationId, 1)).toBeUndefined();
      const again = await begin(store(), { turnId: request.turnId });
      expect(again.seq).toBe(1);
    }
    expect((await store().load(conversationId, 9))?.conversation.turnCount).toBe(1);
    expect(await whereabouts(session)).toBe(conversationId);
  });

  test("a turn in another conversation that exists is told as well", async () => {
    const session = sessionClaim();
    const elsewhere = await begin(store(), {});
    const { conversationId } = await begin(store(), { session });
    const request = turnToBegin({ conversationId: elsewhere.conversationId, turnCount: 1, session });
    expect(await store().begin(request)).toEqual({ outcome: "moved", conversationId });
    expect((await store().load(elsewhere.conversationId, 9))?.turns).toHaveLength(1);
  });

  test("a chat leaves the conversation that it names, any, or one that was too long ago", async () => {
    for (const leave of [
      (id: string) => ({ leaving: id }),
      () => ({ leaving: "any" as const }),
      () => ({ activeSince: NOW + 1 }),
    ]) {
      const session = sessionClaim();
      const first = await begin(store(), { session });
      const second = await begin(store(), { session: { ...session, ...leave(first.conversationId) } });
      expect(second).toMatchObject({ seq: 1 });
      expect(await whereabouts(session)).toBe(second.conversationId);
    }
  });

  test("activity at the very moment of the limit is recent", async () => {
    const session = sessionClaim();
    const { conversationId } = await begin(store(), { session });
    const request = turnToBegin({ session: { ...session, activeSince: NOW } });
    expect(await store().begin(request)).toEqual({ outcome: "moved", conversationId });
  });

  test("owner, platform and chat tell chats apart, the user does not", async () => {
    const session = sessionClaim();
    const { conversationId } = await begin(store(), { session });
    const chats = [
      await begin(store(), { session, owner: "another" }),
      await begin(store(), { session: { ...session, platform: "cli" } }),
      await begin(store(), { session: { ...session, chatId: `${session.chatId}0` } }),
    ];
    expect(new Set([conversationId, ...chats.map((chat) => chat.conversationId)]).size).toBe(4);
    const request = turnToBegin({ session: { ...session, userId: "another" } });
    expect(await store().begin(request)).toEqual({ outcome: "moved", conversationId });
    expect(await whereabouts(session, 0, "another")).toBe(chats[0]?.conversationId);
  });

  test("a known turn id tells of its turn, wherever the chat is by now", async () => {
    const session = sessionClaim();
    const turn = await begin(store(), { session });
    const moved = await begin(store(), { session: { ...session, leaving: "any" } });
    const again = turnToBegin({ turnId: turn.turnId, session });
    expect(await store().begin(again)).toEqual({ outcome: "known", turn });
    expect(await whereabouts(session)).toBe(moved.conversationId);
  });
}
