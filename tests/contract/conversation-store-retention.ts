import type { ConversationStore } from "@parley/core/conversation/conversation-store";
import { messagePage } from "@parley/core/conversation/messages";
import { Retention } from "@parley/core/conversation/retention";
import { newConversationId, newTurnId } from "@parley/core/id";
import { beforeEach, expect, test } from "vitest";
import { allTurns } from "../support/all-turns.ts";
import { ManualClock } from "../support/manual-clock.ts";
import {
  begin,
  conversationOf,
  holderOf,
  leaseFrom,
  NOW,
  readAll,
  replyOf,
  sessionClaim,
  turnToBegin,
} from "../support/stored-turns.ts";

const DAYS = 7;
const DAY_MS = 86_400_000;
const KEPT_MS = DAYS * DAY_MS;
/** More than are passed over in one request. */
const MANY = 130;

/** What is over is not there, although nothing has been removed: by the store's own clock it is not over. */
export function retentionContract(connect: (retention?: Retention) => ConversationStore): void {
  let clock: ManualClock;
  let store: ConversationStore;
  beforeEach(() => {
    clock = new ManualClock(NOW);
    store = connect(new Retention({ days: DAYS, clock }));
  });

  const newOwner = () => `owner of ${newConversationId()}`;
  const numbers = (turns: { seq: number }[] | undefined) => turns?.map(({ seq }) => seq);

  /** One turn a day, from `NOW` on. */
  async function daily(days: number, fields: Parameters<typeof conversationOf>[2] = {}): Promise<string> {
    const conversationId = newConversationId();
    for (let day = 1; day <= days; day++) {
      const now = NOW + (day - 1) * DAY_MS;
      await conversationOf(store, day, { ...fields, conversationId, from: day, now });
    }
    return conversationId;
  }

  test("is there until its last millisecond, and not after", async () => {
    const owner = newOwner();
    const session = sessionClaim();
    const id = await conversationOf(store, 2, { owner, session });
    clock.advance(KEPT_MS);
    expect(numbers((await store.load(id, 9))?.turns)).toEqual([1, 2]);
    expect((await store.list(owner, { size: 9 })).items).toHaveLength(1);
    expect(await store.sessionConversation(owner, session, 0)).toBe(id);
    clock.advance(1);
    expect(await store.load(id, 9)).toBeUndefined();
    expect(await store.turn(id, 1)).toBeUndefined();
    expect(await store.turnsBefore(id, 9, 9)).toEqual([]);
    expect(await store.turnsAfter(id, 0, 9)).toEqual({ turns: [], more: false });
    expect(await store.list(owner, { size: 9 })).toEqual({ items: [], nextToken: undefined });
    expect(await store.sessionConversation(owner, session, 0)).toBeUndefined();
  });

  test("turns of a conversation that lives on go by their own age, and the next number is still the next", async () => {
    const owner = newOwner();
    const id = await daily(10, { owner });
    clock.advance(9 * DAY_MS);
    const loaded = await store.load(id, 20);
    expect(loaded?.conversation).toMatchObject({ turnCount: 10, createdAt: NOW });
    expect(numbers(loaded?.turns)).toEqual([3, 4, 5, 6, 7, 8, 9, 10]);
    expect(numbers(await store.turnsBefore(id, 5, 9))).toEqual([3, 4]);
    expect(await store.turn(id, 2)).toBeUndefined();
    expect(await store.turn(id, 3)).toMatchObject({ seq: 3 });
    const next = { owner, conversationId: id, turnCount: 10, now: clock.now() };
    expect(await begin(store, next)).toMatchObject({ seq: 11 });
    expect(numbers((await store.load(id, 20))?.turns)).toEqual([3, 4, 5, 6, 7, 8, 9, 10, 11]);
  });

  test("pages of any size have what is left, each once and in order, and no page too many", async () => {
    const id = await daily(10);
    clock.advance(9 * DAY_MS);
    for (const size of [1, 2, 3, 7, 8, 9, 100]) {
      let pages = 1;
      const all = await allTurns(store, id, size, async () => {
        pages += 1;
      });
      expect(numbers(all)).toEqual([3, 4, 5, 6, 7, 8, 9, 10]);
      expect(pages).toBe(Math.ceil(8 / size));
      const messages = await readAll((token) => messagePage(store, id, { size, token }));
      expect(messages).toHaveLength(16);
    }
  });

  test("a page that ended in what is over by now goes on with what is left", async () => {
    const id = await daily(10);
    const { nextToken } = await messagePage(store, id, { size: 3 });
    clock.advance(9 * DAY_MS);
    const { items } = await messagePage(store, id, { size: 100, ...(nextToken && { token: nextToken }) });
    expect(items.map(({ content }) => content).slice(0, 2)).toEqual(["message 3", "reply 3"]);
  });

  test(`${MANY} turns that are over are passed over`, async () => {
    const owner = newOwner();
    const conversationId = await conversationOf(store, MANY, { owner });
    clock.advance(1);
    const now = NOW + 1;
    for (const turnCount of [MANY, MANY + 1]) {
      await begin(store, { owner, conversationId, turnCount, now, message: "€".repeat(3_000) });
    }
    clock.advance(KEPT_MS);
    expect(await store.turnsAfter(conversationId, 0, 1)).toMatchObject({
      turns: [{ seq: MANY + 1 }],
      more: true,
    });
    expect(numbers(await allTurns(store, conversationId, 5))).toEqual([MANY + 1, MANY + 2]);
  });

  test("a list has what is left at any page size, and a token into what is over leads nowhere", async () => {
    const owner = newOwner();
    const made: string[] = [];
    for (let day = 0; day < 9; day++) {
      made.unshift((await begin(store, { owner, now: NOW + day * DAY_MS })).conversationId);
    }
    const { nextToken } = await store.list(owner, { size: 8 });
    clock.advance(8 * DAY_MS);
    for (const size of [1, 3, 8, 9]) {
      const all = await readAll((token) => store.list(owner, { size, token }));
      expect(all.map(({ id }) => id)).toEqual(made.slice(0, 8));
    }
    clock.advance(20 * DAY_MS);
    expect(await store.list(owner, { size: 9, token: nextToken })).toEqual({
      items: [],
      nextToken: undefined,
    });
  });

  test("a conversation that is over is not found by a turn that has seen it, and nothing is left of that", async () => {
    const owner = newOwner();
    const { conversationId } = await begin(store, { owner });
    clock.advance(KEPT_MS + 1);
    for (const turnCount of [1, 0]) {
      const late = turnToBegin({ owner, conversationId, turnCount, now: clock.now() });
      await expect(store.begin(late)).rejects.toMatchObject({ code: "not_found" });
      expect(await begin(store, { owner, turnId: late.turnId, now: clock.now() })).toMatchObject({ seq: 1 });
    }
  });

  test("a turn renews its conversation and its chat, and not the turns before it", async () => {
    const owner = newOwner();
    const session = sessionClaim();
    const { conversationId } = await begin(store, { owner, session });
    clock.advance(KEPT_MS);
    await begin(store, { owner, session, conversationId, turnCount: 1, now: clock.now() });
    clock.advance(KEPT_MS);
    expect(numbers((await store.load(conversationId, 9))?.turns)).toEqual([2]);
    expect(await store.sessionConversation(owner, session, 0)).toBe(conversationId);
  });

  test("a turn id is new again when its turn is over", async () => {
    const owner = newOwner();
    const turnId = newTurnId();
    const first = await begin(store, { owner, turnId });
    clock.advance(KEPT_MS);
    expect(await store.begin(turnToBegin({ owner, turnId }))).toMatchObject({ outcome: "known" });
    clock.advance(1);
    const again = await begin(store, { owner, turnId, now: clock.now() });
    expect(again.conversationId).not.toBe(first.conversationId);
    expect(await store.begin(turnToBegin({ owner, turnId, now: clock.now() }))).toMatchObject({
      outcome: "known",
      turn: { conversationId: again.conversationId },
    });
  });

  test("a chat is free when its conversation is over, however long it may be silent", async () => {
    const owner = newOwner();
    const [session, to] = [sessionClaim({ activeSince: 0 }), sessionClaim()];
    await begin(store, { owner, session });
    await begin(store, { owner, session: to });
    clock.advance(KEPT_MS + 1);
    const now = clock.now();
    await store.moveSession(owner, session, to);
    expect(await store.sessionConversation(owner, to, 0)).toBeUndefined();
    const next = await begin(store, { owner, session, now });
    await store.moveSession(owner, session, to);
    expect(await store.sessionConversation(owner, to, 0)).toBe(next.conversationId);
  });

  test("a turn that is over is neither claimed nor completed, and erase finds it all the same", async () => {
    const owner = newOwner();
    const turn = await begin(store, { owner });
    clock.advance(KEPT_MS + 1);
    expect(await store.claim(turn, leaseFrom(clock.now()), clock.now())).toBeUndefined();
    for (const title of [undefined, "Title"]) {
      expect(await store.complete(turn, holderOf(turn), replyOf("late"), title)).toBe(false);
    }
    expect(await store.erase(owner, turn.conversationId)).toMatchObject({ turns: 1 });
    expect(await connect().load(turn.conversationId, 9)).toBeUndefined();
    expect(await connect().turn(turn.conversationId, 1)).toBeUndefined();
  });

  test("what was kept before the setting is over as well, and what it says can be taken back", async () => {
    const owner = newOwner();
    const unlimited = connect();
    const { conversationId } = await begin(unlimited, { owner });
    clock.advance(KEPT_MS + 1);
    expect(await store.load(conversationId, 9)).toBeUndefined();
    expect(await unlimited.load(conversationId, 9)).toMatchObject({ turns: [{ seq: 1 }] });
    await begin(unlimited, { owner, conversationId, turnCount: 1, now: clock.now() });
    expect(numbers((await store.load(conversationId, 9))?.turns)).toEqual([2]);
  });
}
