import type { ConversationStore } from "@parley/core/conversation/conversation-store";
import { messagePage, messagesOf } from "@parley/core/conversation/messages";
import { newConversationId } from "@parley/core/id";
import { describe, expect, test } from "vitest";
import { allTurns } from "../support/all-turns.ts";
import { fc } from "../support/property.ts";
import { begin, conversationOf, holderOf, NOW, readAll, replyOf } from "../support/stored-turns.ts";

const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url");

const GARBAGE = {
  "the empty string": "",
  "no base64": "*",
  "no JSON": Buffer.from("{").toString("base64url"),
  null: encode(null),
  "a list": encode([]),
  "another shape": encode({ page: 2 }),
  "wrong types": encode({ id: 1, at: "now", seq: "1" }),
  "a number that is none": encode({ id: "conv", at: 1.5, seq: 1.5 }),
  "a number below all": encode({ id: "conv", at: -1e300, seq: -1 }),
  "a number beyond all": encode({ id: "conv", at: 1e300, seq: 1e300 }),
  "lone surrogates": encode({ id: "\ud800", at: "\ud800", seq: "\ud800" }),
};

/** Lists by pages: each item exactly once, in order, with tokens that say where and nothing else. */
export function pagingContract(store: () => ConversationStore): void {
  const newOwner = () => `owner of ${newConversationId()}`;
  const ids = (items: { id: string }[]) => items.map(({ id }) => id);
  const numbers = (turns: { seq: number }[]) => turns.map(({ seq }) => seq);

  /** Ids of `count` conversations, newest activity first; every third shares its moment with the one before. */
  async function conversationsOf(owner: string, count: number): Promise<string[]> {
    const made: string[] = [];
    for (let index = 0; index < count; index++) {
      const now = NOW + 1_000 * (index - (index % 3 === 2 ? 1 : 0));
      made.unshift((await begin(store(), { owner, now })).conversationId);
    }
    return made;
  }

  describe("list", () => {
    test("has every conversation of the owner once, newest activity first, at any page size", async () => {
      const owner = newOwner();
      const made = await conversationsOf(owner, 11);
      await conversationsOf(newOwner(), 2);
      for (const size of [1, 2, 3, 10, 11, 12, 100]) {
        const all = await readAll((token) => store().list(owner, { size, token }));
        expect(ids(all).toSorted()).toEqual(made.toSorted());
        const activity = all.map(({ lastActivity }) => lastActivity);
        expect(activity).toEqual(activity.toSorted((a, b) => b - a));
      }
    });

    test("is empty for an owner without conversations", async () => {
      expect(await store().list(newOwner(), { size: 10 })).toEqual({ items: [], nextToken: undefined });
    });

    test("puts a conversation first when it goes on, with its title and its count", async () => {
      const owner = newOwner();
      const [, , oldest = ""] = await conversationsOf(owner, 3);
      const turn = await begin(store(), { owner, conversationId: oldest, turnCount: 1, now: NOW + 60_000 });
      await store().complete(turn, holderOf(turn), replyOf("reply"), "Title");
      const { items } = await store().list(owner, { size: 10 });
      expect(items).toHaveLength(3);
      expect(items[0]).toEqual({
        id: oldest,
        owner,
        platform: "api",
        title: "Title",
        turnCount: 2,
        createdAt: NOW,
        lastActivity: NOW + 60_000,
      });
    });

    test("stays whole while conversations are added and go on between its pages", async () => {
      const owner = newOwner();
      const made = await conversationsOf(owner, 10);
      let later = NOW + 60_000;
      const all = await readAll(
        (token) => store().list(owner, { size: 3, token }),
        async (pages) => {
          later += 1_000;
          await begin(store(), { owner, now: later });
          // One that was shown already moves to the top.
          const shown = made[pages - 1] ?? "";
          await begin(store(), { owner, conversationId: shown, turnCount: 1, now: later });
        },
      );
      expect(ids(all).toSorted()).toEqual(made.toSorted());
    });

    test("another owner's token leads to nothing of that owner's", async () => {
      const [mine, theirs] = [newOwner(), newOwner()];
      const made = await conversationsOf(mine, 3);
      await conversationsOf(theirs, 3);
      const { nextToken } = await store().list(theirs, { size: 1 });
      const { items } = await store().list(mine, { size: 10, ...(nextToken && { token: nextToken }) });
      expect(items.every(({ id, owner }) => owner === mine && made.includes(id))).toBe(true);
    });

    test.each(Object.entries(GARBAGE))("refuses a token that is %s", async (_what, token) => {
      await expect(store().list("owner", { size: 5, token })).rejects.toMatchObject({
        code: "invalid_argument",
        meta: { argument: "page_token" },
      });
    });
  });

  describe("turns", () => {
    test("has every turn once, oldest first, at any page size, and no page too many", async () => {
      const id = await conversationOf(store(), 12);
      for (const size of [1, 2, 5, 6, 11, 12, 13]) {
        let pages = 1;
        const all = await allTurns(store(), id, size, async () => {
          pages += 1;
        });
        expect(numbers(all)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
        expect(pages).toBe(Math.ceil(12 / size));
      }
    });

    test("of a conversation that does not exist is empty", async () => {
      expect(await store().turnsAfter(newConversationId(), 0, 5)).toEqual({ turns: [], more: false });
    });

    test("goes on with what was added between its pages", async () => {
      const id = await conversationOf(store(), 4);
      const all = await allTurns(store(), id, 2, (pages) =>
        begin(store(), { conversationId: id, turnCount: 3 + pages }),
      );
      expect(numbers(all)).toEqual([1, 2, 3, 4, 5, 6, 7].slice(0, all.length));
      expect(all.length).toBeGreaterThan(4);
    });

    test("has every big turn once, though a page holds more than a store gives at once", async () => {
      const text = "€".repeat(30_000);
      const id = await conversationOf(store(), 24, { replyTo: () => replyOf(text) });
      const all = await allTurns(store(), id, 50);
      expect(numbers(all)).toEqual(Array.from({ length: 24 }, (_, index) => index + 1));
      expect(all.every(({ reply }) => reply?.text === text)).toBe(true);

      const loaded = await store().load(id, 50);
      expect(loaded?.turns.at(-1)?.seq).toBe(24);
    });
  });

  describe("messages", () => {
    test("are in pages of any size, a message and its reply apart where a page ends between them", async () => {
      const id = await conversationOf(store(), 3, { replyTo: () => replyOf("reply") });
      for (const size of [1, 2, 3, 4, 5, 6, 7]) {
        const roles = (await readAll((token) => messagePage(store(), id, { size, token }))).map(
          ({ role }) => role,
        );
        expect(roles).toEqual(["user", "assistant", "user", "assistant", "user", "assistant"]);
      }
    });

    test("another conversation's token is only a position", async () => {
      const [one, other] = [await conversationOf(store(), 3), await conversationOf(store(), 3)];
      const { nextToken } = await messagePage(store(), one, { size: 1 });
      const { items } = await messagePage(store(), other, {
        size: 9,
        ...(nextToken && { token: nextToken }),
      });
      const mine = new Set((await allTurns(store(), other)).flatMap(messagesOf).map(({ id }) => id));
      expect(items.length).toBeGreaterThan(0);
      expect(items.every(({ id }) => mine.has(id))).toBe(true);
    });

    test.each(Object.entries(GARBAGE))("refuse a token that is %s", async (_what, token) => {
      const id = await conversationOf(store(), 1);
      await expect(messagePage(store(), id, { size: 5, token })).rejects.toMatchObject({
        code: "invalid_argument",
        meta: { argument: "page_token" },
      });
    });
  });

  test("no token at all makes a listing fail otherwise than as a wrong argument", async () => {
    const anything = fc.oneof(
      fc.string({ unit: "binary" }),
      fc.record({ id: fc.string({ unit: "binary" }), at: fc.double() }).map(encode),
      fc
        .record({
          seq: fc.oneof(fc.integer(), fc.maxSafeInteger(), fc.double()),
          role: fc.constantFrom("user", "assistant", "system"),
        })
        .map(encode),
    );
    await fc.assert(
      fc.asyncProperty(anything, async (token) => {
        for (const listing of [
          () => store().list("owner", { size: 2, token }),
          () => messagePage(store(), "conv", { size: 2, token }),
        ]) {
          const code = await listing().then(
            () => "ok",
            (error: { code?: string }) => error.code,
          );
          expect(["ok", "invalid_argument"]).toContain(code);
        }
      }),
      { numRuns: 60 },
    );
  });
}
