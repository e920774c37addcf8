import type { ConversationStore } from "@parley/core/conversation/conversation-store";
import { newConversationId } from "@parley/core/id";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { allTurns } from "../support/all-turns.ts";
import {
  begin,
  conversationOf,
  holderOf,
  LEASE_MS,
  leaseFrom,
  NOW,
  replyOf,
  turnToBegin,
} from "../support/stored-turns.ts";
import type { Stores } from "../support/stores.ts";
import { erasureContract } from "./conversation-store-erase.ts";
import { movesContract } from "./conversation-store-moves.ts";
import { hostileNamesContract } from "./conversation-store-names.ts";
import { pagingContract } from "./conversation-store-pages.ts";
import { retentionContract } from "./conversation-store-retention.ts";
import { rivalryContract } from "./conversation-store-rivals.ts";
import { sessionContract } from "./conversation-store-sessions.ts";
import { summaryContract } from "./conversation-store-summaries.ts";

type StoreUnderTest = Pick<Stores, "store" | "close">;

/** What every `ConversationStore` must do, whatever it is built on. */
export function conversationStoreContract(name: string, open: () => Promise<StoreUnderTest>): void {
  describe(`conversation store: ${name}`, () => {
    let under: StoreUnderTest;
    let store: ConversationStore;

    beforeAll(async () => {
      under = await open();
      store = under.store();
    });
    afterAll(() => under?.close());

    describe("begin", () => beginContract(() => store));
    describe("claim, complete, release", () => leaseContract(() => store));
    describe("load and turnsBefore", () => loadContract(() => store));
    describe("sessions", () => sessionContract(() => store));
    describe("sessions that move", () => movesContract(() => store));
    describe("pages", () => pagingContract(() => store));
    describe("summarise", () => summaryContract(() => under.store()));
    describe("erase", () => erasureContract(() => store));
    describe("retention", () => retentionContract((retention) => under.store(retention)));
    describe("names that clients choose", () => hostileNamesContract(() => store));
    describe("rivals", () => rivalryContract(() => under.store()));
  });
}

function beginContract(store: () => ConversationStore): void {
  test("a first turn makes the conversation, open and without a title", async () => {
    const request = turnToBegin({ platform: "telegram" });
    const { conversationId, turnId, digest, message, messageId, lease, owner, platform } = request;
    const turn = { conversationId, seq: 1, turnId, digest, message, messageId, createdAt: NOW, lease };

    expect(await store().begin(request)).toEqual({ outcome: "begun", turn });

    const conversation = {
      id: conversationId,
      owner,
      platform,
      turnCount: 1,
      createdAt: NOW,
      lastActivity: NOW,
    };
    expect(await store().load(conversationId, 10)).toEqual({ conversation, turns: [turn] });
    expect(await store().turn(conversationId, 1)).toEqual(turn);
    expect(await store().turn(conversationId, 2)).toBeUndefined();
  });

  test("the next turn takes the next number and moves the last activity alone", async () => {
    const { conversationId } = await begin(store());
    const second = await begin(store(), { conversationId, turnCount: 1, now: NOW + 5_000, platform: "cli" });
    expect(second.seq).toBe(2);
    const loaded = await store().load(conversationId, 10);
    expect(loaded?.conversation).toMatchObject({
      turnCount: 2,
      createdAt: NOW,
      lastActivity: NOW + 5_000,
      platform: "api",
    });
    expect(loaded?.turns.map(({ seq }) => seq)).toEqual([1, 2]);
  });

  test.each([0, 1, 2])("a caller that has seen %i of 3 turns gets the 4th", async (turnCount) => {
    const conversationId = await conversationOf(store(), 3);
    expect(await begin(store(), { conversationId, turnCount })).toMatchObject({ seq: 4 });
    expect(await allTurns(store(), conversationId)).toHaveLength(4);
  });

  test("a turn id that was used is known, wherever it is sent again", async () => {
    const turn = await begin(store());
    const other = await begin(store());
    const again = (conversationId: string, turnCount: number) =>
      store().begin(turnToBegin({ turnId: turn.turnId, message: "another", conversationId, turnCount }));

    const elsewhere = newConversationId();
    for (const known of [
      await again(turn.conversationId, 1),
      await again(other.conversationId, 1),
      await again(elsewhere, 0),
    ]) {
      expect(known).toEqual({ outcome: "known", turn });
    }

    expect(await store().load(elsewhere, 1)).toBeUndefined();
    expect((await store().load(turn.conversationId, 9))?.conversation.turnCount).toBe(1);
    expect((await store().load(other.conversationId, 9))?.conversation.turnCount).toBe(1);
  });

  test("a known turn comes as it stands: with its reply", async () => {
    const turn = await begin(store());
    const reply = replyOf("18 °C");
    await store().complete(turn, holderOf(turn), reply);
    const { lease: _, ...done } = turn;
    const known = await store().begin(turnToBegin({ turnId: turn.turnId }));
    expect(known).toEqual({ outcome: "known", turn: { ...done, reply } });
  });

  test("the same request by the same holder is begun once, and still its own", async () => {
    const request = turnToBegin();
    const first = await store().begin(request);
    expect(await store().begin(request)).toEqual(first);
    expect(await allTurns(store(), request.conversationId)).toHaveLength(1);
  });

  test("one turn id of two owners is two turns", async () => {
    const turn = await begin(store(), { owner: "one" });
    const other = await begin(store(), { owner: "two", turnId: turn.turnId });
    expect(other.conversationId).not.toBe(turn.conversationId);
  });

  test.each([0, 1])(
    "another owner's conversation is not found (%i turns seen), and nothing is left",
    async (turnCount) => {
      const { conversationId } = await begin(store(), { owner: "one" });
      const request = turnToBegin({ owner: "two", conversationId, turnCount });
      await expect(store().begin(request)).rejects.toMatchObject({ code: "not_found" });
      expect((await store().load(conversationId, 9))?.conversation.turnCount).toBe(1);
      expect(await begin(store(), { owner: "two", turnId: request.turnId })).toMatchObject({ seq: 1 });
    },
  );

  test("a conversation that is gone after it was seen is not found, and nothing is left", async () => {
    const request = turnToBegin({ turnCount: 3 });
    await expect(store().begin(request)).rejects.toMatchObject({ code: "not_found" });
    expect(await store().load(request.conversationId, 9)).toBeUndefined();
    expect(await store().turn(request.conversationId, 4)).toBeUndefined();
    expect(await begin(store(), { turnId: request.turnId })).toMatchObject({ seq: 1 });
  });

  test("without time left nothing is stored", async () => {
    const request = turnToBegin({ signal: AbortSignal.abort() });
    await expect(store().begin(request)).rejects.toMatchObject({ code: "deadline_exceeded" });
    await expect(store().load(request.conversationId, 1, AbortSignal.abort())).rejects.toMatchObject({
      code: "deadline_exceeded",
    });
    expect(await store().load(request.conversationId, 1)).toBeUndefined();
  });

  // 16 KB of message and the longest steps and reply that the assistant lets through, at 3 bytes a character.
  test("the biggest turn fits", async () => {
    const message = "x".repeat(16 * 1024);
    const turn = await begin(store(), { message });
    const content = "€".repeat(64_000 / 16);
    const reply = replyOf("€".repeat(32_000), {
      steps: Array.from({ length: 16 }, (_, index) => [
        { type: "tool_call" as const, id: `call_${index}`, name: "get_holidays", arguments: "{}" },
        { type: "tool_result" as const, callId: `call_${index}`, content },
      ]).flat(),
    });
    expect(await store().complete(turn, holderOf(turn), reply, "T".repeat(60))).toBe(true);
    const { lease: _, ...done } = turn;
    expect(await store().turn(turn.conversationId, 1)).toEqual({ ...done, reply });
  });
}

function leaseContract(store: () => ConversationStore): void {
  test("an open turn is claimed when its lease is over, and not before", async () => {
    const turn = await begin(store());
    const until = NOW + LEASE_MS;
    const lease = leaseFrom(until);
    expect(await store().claim(turn, lease, until - 1)).toBeUndefined();
    expect(await store().turn(turn.conversationId, 1)).toEqual(turn);
    expect(await store().claim(turn, lease, until)).toEqual({ ...turn, lease });
    expect(await store().turn(turn.conversationId, 1)).toEqual({ ...turn, lease });
  });

  test("a released turn is claimed at once", async () => {
    const turn = await begin(store());
    await store().release(turn, holderOf(turn));
    const { lease: _, ...open } = turn;
    expect(await store().turn(turn.conversationId, 1)).toEqual(open);
    const lease = leaseFrom(NOW);
    expect(await store().claim(turn, lease, NOW)).toEqual({ ...turn, lease });
  });

  test("a claim that is repeated by its holder is granted: the first answer may be lost", async () => {
    const turn = await begin(store());
    await store().release(turn, holderOf(turn));
    const lease = leaseFrom(NOW);
    await store().claim(turn, lease, NOW);
    expect(await store().claim(turn, lease, NOW)).toEqual({ ...turn, lease });
  });

  test("a turn that is done is not claimed, by anyone at any time", async () => {
    const turn = await begin(store());
    await store().complete(turn, holderOf(turn), replyOf("done"));
    expect(await store().claim(turn, leaseFrom(NOW), NOW + 10 * LEASE_MS)).toBeUndefined();
    expect((await store().turn(turn.conversationId, 1))?.lease).toBeUndefined();
  });

  test("only the holder completes, and once", async () => {
    const turn = await begin(store());
    const reply = replyOf("mine");
    expect(await store().complete(turn, "somebody", replyOf("theirs"), "Their title")).toBe(false);
    expect(await store().turn(turn.conversationId, 1)).toEqual(turn);
    expect(await store().complete(turn, holderOf(turn), reply)).toBe(true);
    expect(await store().complete(turn, holderOf(turn), replyOf("again"), "Second title")).toBe(false);
    const { lease: _, ...done } = turn;
    expect(await store().turn(turn.conversationId, 1)).toEqual({ ...done, reply });
    expect((await store().load(turn.conversationId, 0))?.conversation.title).toBeUndefined();
  });

  test("a completion that is repeated with its reply is true: the first answer may be lost", async () => {
    const turn = await begin(store());
    const reply = replyOf("mine");
    for (const title of [undefined, "Title"]) {
      expect(await store().complete(turn, holderOf(turn), reply, title)).toBe(true);
      expect(await store().complete(turn, holderOf(turn), reply, title)).toBe(true);
      expect((await store().turn(turn.conversationId, 1))?.reply).toEqual(reply);
    }
    expect(await store().complete(turn, holderOf(turn), replyOf("another"))).toBe(false);
  });

  test("a lease that is over still completes, unless somebody claimed the turn", async () => {
    const late = await begin(store());
    expect(await store().complete(late, holderOf(late), replyOf("late"))).toBe(true);

    const lost = await begin(store());
    const lease = leaseFrom(NOW + LEASE_MS);
    const claimed = await store().claim(lost, lease, NOW + LEASE_MS);
    expect(await store().complete(lost, holderOf(lost), replyOf("too late"), "Lost title")).toBe(false);
    expect(await store().turn(lost.conversationId, 1)).toEqual(claimed);
    expect(await store().complete(lost, lease.holder, replyOf("in time"))).toBe(true);
  });

  test("a title is set with the first reply that brings one, and stays", async () => {
    const turn = await begin(store());
    const title = async () => (await store().load(turn.conversationId, 0))?.conversation.title;
    const second = await begin(store(), { conversationId: turn.conversationId, turnCount: 1 });
    const third = await begin(store(), { conversationId: turn.conversationId, turnCount: 2 });
    await store().complete(turn, holderOf(turn), replyOf("1"));
    expect(await title()).toBeUndefined();
    await store().complete(second, holderOf(second), replyOf("2"), "First title");
    expect(await title()).toBe("First title");
    expect(await store().complete(third, holderOf(third), replyOf("3"), "Second title")).toBe(true);
    expect(await title()).toBe("First title");
  });

  test("a release by another, of a turn that is done or of none, changes nothing", async () => {
    const turn = await begin(store());
    await store().release(turn, "somebody");
    expect(await store().turn(turn.conversationId, 1)).toEqual(turn);

    const reply = replyOf("done");
    await store().complete(turn, holderOf(turn), reply);
    await store().release(turn, holderOf(turn));
    expect((await store().turn(turn.conversationId, 1))?.reply).toEqual(reply);
  });

  test("a turn that does not exist is neither claimed, completed nor made", async () => {
    const { conversationId, ...rest } = await begin(store());
    const none = { conversationId, ...rest, seq: 7 };
    expect(await store().claim(none, leaseFrom(NOW), NOW + LEASE_MS)).toBeUndefined();
    expect(await store().complete(none, holderOf(none), replyOf("none"))).toBe(false);
    expect(await store().complete(none, holderOf(none), replyOf("none"), "None")).toBe(false);
    await store().release(none, holderOf(none));
    expect(await store().turn(conversationId, 7)).toBeUndefined();
    expect((await store().load(conversationId, 9))?.conversation).toMatchObject({ turnCount: 1 });
    expect((await store().load(conversationId, 9))?.conversation.title).toBeUndefined();
  });
}

function loadContract(store: () => ConversationStore): void {
  const numbers = (turns: { seq: number }[] | undefined) => turns?.map(({ seq }) => seq);

  test("load gives the newest turns, oldest first, and no more than were asked for", async () => {
    const id = await conversationOf(store(), 12, { title: "Twelve" });
    for (const [limit, expected] of [
      [0, []],
      [1, [12]],
      [4, [9, 10, 11, 12]],
      [12, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]],
      [50, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]],
    ] as const) {
      const loaded = await store().load(id, limit);
      expect(loaded?.conversation).toMatchObject({ id, title: "Twelve", turnCount: 12 });
      expect(numbers(loaded?.turns)).toEqual(expected);
    }
  });

  test("load of a conversation that does not exist gives nothing", async () => {
    expect(await store().load(newConversationId(), 10)).toBeUndefined();
  });

  test("turnsBefore gives the newest turns before one, oldest first", async () => {
    const id = await conversationOf(store(), 12);
    expect(numbers(await store().turnsBefore(id, 11, 3))).toEqual([8, 9, 10]);
    expect(numbers(await store().turnsBefore(id, 3, 10))).toEqual([1, 2]);
    expect(numbers(await store().turnsBefore(id, 2, 1))).toEqual([1]);
    expect(await store().turnsBefore(id, 1, 10)).toEqual([]);
    expect(await store().turnsBefore(newConversationId(), 5, 10)).toEqual([]);
  });
}
