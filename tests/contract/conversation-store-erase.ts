import type { ConversationStore } from "@parley/core/conversation/conversation-store";
import { newConversationId } from "@parley/core/id";
import { expect, test } from "vitest";
import {
  begin,
  conversationOf,
  holderOf,
  replyOf,
  sessionClaim,
  turnToBegin,
} from "../support/stored-turns.ts";

/** More than DynamoDB removes in one transaction. */
const MANY = 60;

/** What `erase` leaves: nothing. */
export function erasureContract(store: () => ConversationStore): void {
  const newOwner = () => `owner of ${newConversationId()}`;

  test("tells the chat, and leaves nothing to read, to list or to go on with", async () => {
    const owner = newOwner();
    const session = sessionClaim();
    const id = await conversationOf(store(), 3, { owner, session });
    const { platform, userId, chatId } = session;
    expect(await store().erase(owner, id)).toEqual({
      turns: 3,
      chats: [{ platform, userId, chatId }],
      opening: ["message 1", "message 2", "message 3"],
    });
    expect(await store().load(id, 9)).toBeUndefined();
    expect(await store().turn(id, 1)).toBeUndefined();
    expect(await store().turnsAfter(id, 0, 9)).toEqual({ turns: [], more: false });
    expect(await store().list(owner, { size: 9 })).toEqual({ items: [], nextToken: undefined });
    expect(await store().sessionConversation(owner, session, 0)).toBeUndefined();
    const late = turnToBegin({ owner, conversationId: id, turnCount: 3 });
    await expect(store().begin(late)).rejects.toMatchObject({ code: "not_found" });
    expect(await store().erase(owner, id)).toBeUndefined();
  });

  test("of one that there is not, or of another owner, removes nothing", async () => {
    const owner = newOwner();
    const id = await conversationOf(store(), 1, { owner });
    expect(await store().erase(owner, newConversationId())).toBeUndefined();
    expect(await store().erase("another", id)).toBeUndefined();
    expect((await store().load(id, 9))?.turns).toHaveLength(1);
    // It began in no chat.
    expect(await store().erase(owner, id)).toMatchObject({ turns: 1, chats: [] });
  });

  test("its turn ids are new again, and those of others are not", async () => {
    const owner = newOwner();
    const gone = await begin(store(), { owner });
    const kept = await begin(store(), { owner });
    await store().erase(owner, gone.conversationId);
    expect(await begin(store(), { owner, turnId: gone.turnId })).toMatchObject({ seq: 1 });
    const known = await store().begin(turnToBegin({ owner, turnId: kept.turnId }));
    expect(known).toMatchObject({ outcome: "known", turn: { conversationId: kept.conversationId } });
  });

  test("a turn under way is completed by nobody", async () => {
    const owner = newOwner();
    const turn = await begin(store(), { owner });
    await store().erase(owner, turn.conversationId);
    for (const title of [undefined, "Title"]) {
      expect(await store().complete(turn, holderOf(turn), replyOf("late"), title)).toBe(false);
    }
    await store().release(turn, holderOf(turn));
    expect(await store().claim(turn, { holder: "h", until: 1 }, Number.MAX_SAFE_INTEGER)).toBeUndefined();
    expect(await store().load(turn.conversationId, 9)).toBeUndefined();
  });

  test("a chat that has moved on stays where it is", async () => {
    const owner = newOwner();
    const session = sessionClaim();
    const id = await conversationOf(store(), 1, { owner, session });
    const next = await begin(store(), { owner, session: { ...session, leaving: "any" } });
    await store().erase(owner, id);
    expect(await store().sessionConversation(owner, session, 0)).toBe(next.conversationId);
  });

  test("finds the chats that it has moved to, and leaves those that have moved on", async () => {
    const owner = newOwner();
    const [from, to, other] = [sessionClaim(), sessionClaim(), sessionClaim()];
    const id = await conversationOf(store(), 1, { owner, session: from });
    await store().moveSession(owner, from, to);
    await store().moveSession(owner, to, other);
    await store().leaveSession(owner, other, Date.now());
    const nowhere = await store().sessionConversation(owner, other, 0);
    const erased = await store().erase(owner, id);
    const chats = erased?.chats.map(({ chatId }) => chatId);
    expect(chats).toEqual(expect.arrayContaining([from.chatId, to.chatId]));
    for (const chat of [from, to]) {
      expect(await store().sessionConversation(owner, chat, 0)).toBeUndefined();
    }
    expect(await store().sessionConversation(owner, other, 0)).toBe(nowhere);
  });

  test(`of ${MANY} turns leaves none, and those that begin meanwhile are stored whole or not found`, async () => {
    const owner = newOwner();
    const id = await conversationOf(store(), MANY, { owner });
    const begun = Array.from({ length: 6 }, () =>
      store()
        .begin(turnToBegin({ owner, conversationId: id, turnCount: MANY }))
        .then(
          ({ outcome }) => outcome,
          (error: { code?: string }) => error.code,
        ),
    );
    const [erased, ...outcomes] = await Promise.all([store().erase(owner, id), ...begun]);
    expect(erased?.chats).toEqual([]);
    expect(erased?.turns).toBe(MANY + outcomes.filter((outcome) => outcome === "begun").length);
    for (const outcome of outcomes) expect(["begun", "not_found"]).toContain(outcome);
    expect(await store().load(id, 1)).toBeUndefined();
    expect(await store().turnsAfter(id, 0, MANY + 9)).toEqual({ turns: [], more: false });
  });
}
