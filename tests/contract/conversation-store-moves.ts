import type { ConversationStore } from "@parley/core/conversation/conversation-store";
import type { SessionMetadata } from "@parley/core/conversation/types";
import { newConversationId } from "@parley/core/id";
import { describe, expect, test } from "vitest";
import { begin, holderOf, NOW, replyOf, sessionClaim, turnToBegin } from "../support/stored-turns.ts";

const LATER = NOW + 60_000;

/** Chats that leave their conversation, or go on under another id. */
export function movesContract(store: () => ConversationStore): void {
  const whereabouts = (session: SessionMetadata, since = 0, owner = "owner") =>
    store().sessionConversation(owner, session, since);
  const leave = (session: SessionMetadata, now = LATER) => store().leaveSession("owner", session, now);
  const move = (from: SessionMetadata, to: SessionMetadata) => store().moveSession("owner", from, to);

  /** The next turn of a chat whose conversation is remembered somewhere, or of one that is new. */
  async function say(session: ReturnType<typeof sessionClaim>, remembered?: string) {
    let [id, leaving] = [remembered, undefined as string | undefined];
    for (;;) {
      const head = id === undefined ? undefined : await store().load(id, 0);
      if (!head) [id, leaving] = [newConversationId(), id];
      const turnCount = head?.conversation.turnCount ?? 0;
      const request = {
        conversationId: id as string,
        turnCount,
        now: LATER,
        session: { ...session, leaving },
      };
      const begun = await store().begin(turnToBegin(request));
      if (begun.outcome !== "moved") return begun.turn;
      id = begun.conversationId;
    }
  }

  describe("leaveSession", () => {
    test("whoever remembers the conversation is told that the chat is in one that there is not", async () => {
      const session = sessionClaim();
      const { conversationId } = await begin(store(), { session });
      await leave(session);
      const next = await whereabouts(session, LATER);
      expect(next).not.toBe(conversationId);
      expect(await store().load(next ?? "", 1)).toBeUndefined();
      const remembering = turnToBegin({ conversationId, turnCount: 1, session, now: LATER });
      expect(await store().begin(remembering)).toEqual({ outcome: "moved", conversationId: next });
      const starting = turnToBegin({ session: { ...session, leaving: conversationId }, now: LATER });
      expect(await store().begin(starting)).toEqual({ outcome: "moved", conversationId: next });
      expect((await store().load(conversationId, 9))?.turns).toHaveLength(1);
    });

    test("the next turn begins anew, whatever is remembered, and the chat stays there", async () => {
      for (const isRemembered of [true, false]) {
        const session = sessionClaim();
        const { conversationId } = await begin(store(), { session });
        await leave(session);
        const turn = await say(session, isRemembered ? conversationId : await whereabouts(session));
        expect(turn).toMatchObject({ seq: 1 });
        expect(turn.conversationId).not.toBe(conversationId);
        expect(await whereabouts(session)).toBe(turn.conversationId);
        expect(await say(session, conversationId)).toMatchObject({
          conversationId: turn.conversationId,
          seq: 2,
        });
      }
    });

    test("of next turns at once one begins anew and the others follow", async () => {
      const session = sessionClaim();
      const { conversationId } = await begin(store(), { session });
      await leave(session);
      const turns = await Promise.all(Array.from({ length: 8 }, () => say(session, conversationId)));
      expect(new Set(turns.map((turn) => turn.conversationId)).size).toBe(1);
      expect(turns.map(({ seq }) => seq).toSorted()).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
    });

    test("a turn under way is completed where it began", async () => {
      const session = sessionClaim();
      const turn = await begin(store(), { session });
      await leave(session);
      expect(await store().complete(turn, holderOf(turn), replyOf("late"), "Title")).toBe(true);
      expect((await store().load(turn.conversationId, 1))?.turns).toMatchObject([
        { reply: { text: "late" } },
      ]);
      expect((await say(session, turn.conversationId)).conversationId).not.toBe(turn.conversationId);
    });

    test("again, or in no conversation, leaves the chat in none", async () => {
      const session = sessionClaim();
      await leave(session);
      await leave(session, LATER + 1);
      expect(await store().load((await whereabouts(session)) ?? "", 1)).toBeUndefined();
      expect(await say(session)).toMatchObject({ seq: 1 });
    });

    test("is over by itself when the chat has been silent for long enough", async () => {
      const session = sessionClaim();
      await leave(session, NOW);
      const turn = await begin(store(), { session: { ...session, activeSince: NOW + 1 } });
      expect(await whereabouts(session)).toBe(turn.conversationId);
    });

    test("concerns one chat of one owner", async () => {
      const session = sessionClaim();
      const others = [
        { owner: "another", session },
        { owner: "owner", session: { ...session, platform: "cli" } },
        { owner: "owner", session: { ...session, chatId: `${session.chatId}:7` } },
      ];
      const turns = await Promise.all(others.map((other) => begin(store(), other)));
      await leave(session);
      for (const [index, { owner, session }] of others.entries()) {
        expect(await whereabouts(session, 0, owner)).toBe(turns[index]?.conversationId);
      }
    });
  });

  describe("moveSession", () => {
    test("takes the conversation along, and since when it is silent", async () => {
      const [from, to] = [sessionClaim(), sessionClaim()];
      const { conversationId } = await begin(store(), { session: from });
      await move(from, to);
      expect(await whereabouts(to, NOW)).toBe(conversationId);
      expect(await whereabouts(to, NOW + 1)).toBeUndefined();
      expect(await say(to, conversationId)).toMatchObject({ conversationId, seq: 2 });
    });

    test("what was said before and comes late is of the same conversation", async () => {
      const [from, to] = [sessionClaim(), sessionClaim()];
      const { conversationId } = await begin(store(), { session: from });
      await move(from, to);
      await say(to, conversationId);
      expect(await say(from, await whereabouts(from))).toMatchObject({ conversationId, seq: 3 });
    });

    test("leaves a chat where it is that is in a conversation already", async () => {
      const [from, to] = [sessionClaim(), sessionClaim()];
      const [theirs, ours] = [await begin(store(), { session: from }), await begin(store(), { session: to })];
      await move(from, to);
      expect(await whereabouts(to)).toBe(ours.conversationId);
      expect(await whereabouts(from)).toBe(theirs.conversationId);
    });

    test("twice is as once, even when the chat has begun anew meanwhile", async () => {
      const [from, to] = [sessionClaim(), sessionClaim()];
      const { conversationId } = await begin(store(), { session: from });
      await move(from, to);
      await move(from, to);
      expect(await whereabouts(to)).toBe(conversationId);
      await leave(to);
      await move(from, to);
      const turn = await say(to, conversationId);
      expect(turn.conversationId).not.toBe(conversationId);
      await move(from, to);
      expect(await whereabouts(to)).toBe(turn.conversationId);
    });

    test("a turn under way is completed, and the next is begun there", async () => {
      const [from, to] = [sessionClaim(), sessionClaim()];
      const turn = await begin(store(), { session: from });
      await move(from, to);
      expect(await say(to, turn.conversationId)).toMatchObject({ seq: 2 });
      expect(await store().complete(turn, holderOf(turn), replyOf("late"))).toBe(true);
      const loaded = await store().load(turn.conversationId, 9);
      expect(loaded?.turns.map(({ reply }) => reply?.text)).toEqual(["late", undefined]);
    });

    test("turns that begin at the same time are all kept, in one conversation", async () => {
      const [from, to] = [sessionClaim(), sessionClaim()];
      const { conversationId } = await begin(store(), { session: from });
      const said = Array.from({ length: 6 }, () => say(from, conversationId));
      await Promise.all([...said, move(from, to), move(from, to)]);
      expect(await whereabouts(to)).toBe(conversationId);
      expect((await store().load(conversationId, 0))?.conversation.turnCount).toBe(7);
    });

    test("of a chat that is in no conversation, or has left its own, begins anew", async () => {
      const [nobody, left, to, there] = [sessionClaim(), sessionClaim(), sessionClaim(), sessionClaim()];
      await move(nobody, to);
      expect(await whereabouts(to)).toBeUndefined();
      const { conversationId } = await begin(store(), { session: left });
      await leave(left);
      await move(left, there);
      const turn = await say(there, await whereabouts(there));
      expect(turn).toMatchObject({ seq: 1 });
      expect(turn.conversationId).not.toBe(conversationId);
    });

    test("to where it is, or as another owner, moves nothing", async () => {
      const [from, to] = [sessionClaim(), sessionClaim()];
      const { conversationId } = await begin(store(), { session: from });
      await move(from, from);
      expect(await whereabouts(from, NOW)).toBe(conversationId);
      await store().moveSession("another", from, to);
      expect(await whereabouts(to)).toBeUndefined();
      expect(await whereabouts(to, 0, "another")).toBeUndefined();
    });
  });
}
