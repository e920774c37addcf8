import type { ConversationStore } from "@parley/core/conversation/conversation-store";
import type { UserRow } from "@parley/local/store/user-rows";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { entryOf } from "../support/outbox-entries.ts";
import { begin, conversationOf, sessionClaim } from "../support/stored-turns.ts";
import type { Stores } from "../support/stores.ts";

const ADA = { platform: "telegram", userId: "123" };
const MANY = 90;

/** What every `UserRows` must do, whatever they are built on. */
export function userRowsContract(name: string, open: () => Promise<Stores>): void {
  describe(`a user's rows: ${name}`, () => {
    let under: Stores;
    let store: ConversationStore;
    let others: { id: string; chat: ReturnType<typeof sessionClaim> };

    beforeAll(async () => {
      under = await open();
      store = under.store();
      const outbox = under.outbox();
      const bob = sessionClaim({ userId: "1234", chatId: "-1" });
      const id = await conversationOf(store, 2, { session: bob });
      others = { id, chat: bob };
      await begin(store, {
        conversationId: id,
        turnCount: 2,
        session: { ...bob, userId: ADA.userId },
        message: "Ada's",
      });
      await begin(store, { conversationId: id, turnCount: 3, session: bob });
      await conversationOf(store, 2, { session: sessionClaim({ userId: ADA.userId, chatId: "a#b" }) });
      await conversationOf(store, 1, { session: sessionClaim({ platform: "cli", userId: ADA.userId }) });
      await conversationOf(store, 1);
      const place = (chat: number) => ({ chat, thread: undefined });
      await outbox.open(entryOf(1, { id: "by user", userId: ADA.userId, place: place(-1) }));
      await outbox.open(entryOf(1, { id: "by chat", place: place(123) }));
      await outbox.open(entryOf(1, { id: "another's", userId: "1234", place: place(-123) }));
    });
    afterAll(() => under?.close());

    async function all(user = ADA): Promise<UserRow[]> {
      const rows: UserRow[] = [];
      for await (const page of under.rows.pages(user)) rows.push(...page.rows);
      return rows;
    }
    const kinds = (rows: UserRow[]) => rows.map(({ kind }) => kind).toSorted();

    test("are found, and nobody else's", async () => {
      const rows = await all();
      expect(kinds(rows)).toEqual([
        "answer",
        "answer",
        "chat",
        "conversation",
        "message",
        "message",
        "message",
      ]);
      expect(rows).toContainEqual(
        expect.objectContaining({ kind: "message", conversationId: others.id, seq: 3, text: "Ada's" }),
      );
      expect(rows.find(({ kind }) => kind === "chat")).toMatchObject({
        owner: "owner",
        session: { chatId: "a#b" },
      });
      expect(kinds(await all({ platform: "cli", userId: "123" }))).toEqual([
        "chat",
        "conversation",
        "message",
      ]);
      expect(await all({ platform: "slack", userId: "123" })).toEqual([]);
      expect(await all({ platform: "telegram", userId: "" })).toEqual([]);
    });

    test("are erased one by one, once", async () => {
      const summary = { text: "Ada said something", upToSeq: 3, tokens: 5 };
      expect(await store.summarise(others.id, summary)).toBe(true);
      for (const row of await all()) {
        if (row.kind === "conversation") continue;
        expect({ row, erased: await under.rows.erase(row) }).toEqual({ row, erased: true });
        expect(await under.rows.erase(row)).toBe(false);
      }
      const [left, ...more] = await all();
      expect(more).toEqual([]);
      if (left?.kind !== "conversation") throw new Error("the conversation is left");
      expect(await under.rows.eraseConversation(left.owner, left.id)).toMatchObject({ turns: 0 });
      expect(await all()).toEqual([]);
      // A turn less in somebody else's conversation, whose numbers go on.
      expect((await store.load(others.id, 0))?.conversation.summary).toBeUndefined();
      expect((await store.load(others.id, 9))?.turns.map(({ seq }) => seq)).toEqual([1, 2, 4]);
      expect(await begin(store, { conversationId: others.id, turnCount: 4 })).toMatchObject({ seq: 5 });
    });

    test("are more than one page holds, and a position leads on from there", async () => {
      const user = { platform: "telegram", userId: "999" };
      const session = sessionClaim({ userId: user.userId });
      await conversationOf(store, MANY, { session, message: "x".repeat(16_000) });
      const read = async (from?: string) => {
        const pages = [];
        for await (const page of under.rows.pages(user, from)) pages.push(page);
        return pages;
      };
      const pages = await read();
      const count = (some: typeof pages) => some.reduce((sum, { rows }) => sum + rows.length, 0);
      expect(count(pages)).toBe(MANY + 2);
      const [first, ...rest] = pages;
      // MongoDB's indexes lead there at once: it begins anew.
      if (first?.position === undefined) return;
      expect(rest.length).toBeGreaterThan(0);
      expect(count(await read(first.position))).toBe(count(rest));
    });
  });
}
