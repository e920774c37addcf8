import type { ConversationStore } from "@parley/core/conversation/conversation-store";
import { newConversationId } from "@parley/core/id";
import { expect, test } from "vitest";
import { fc } from "../support/property.ts";
import { begin, conversationOf, holderOf, NOW, replyOf } from "../support/stored-turns.ts";

const summaryTo = (upToSeq: number, text = `up to ${upToSeq}`) => ({ text, upToSeq, tokens: 40 });

export function summaryContract(connect: () => ConversationStore): void {
  const summaryOf = async (id: string) => (await connect().load(id, 0))?.conversation.summary;

  test("a summary comes with the head, and changes nothing else of it", async () => {
    const store = connect();
    const owner = newConversationId();
    const id = await conversationOf(store, 3, { owner, title: "Three" });
    const before = await store.load(id, 9);
    const summary = summaryTo(2, "a < b, \u{1F415} Laïka");
    expect(before?.conversation.summary).toBeUndefined();
    expect(await store.summarise(id, summary)).toBe(true);
    expect(await store.load(id, 9)).toEqual({
      ...before,
      conversation: { ...before?.conversation, summary },
    });
    await begin(store, { owner, conversationId: id, turnCount: 3, now: NOW + 1 });
    expect((await store.load(id, 0))?.conversation).toMatchObject({ summary, turnCount: 4, title: "Three" });
  });

  test("a list leaves summaries out", async () => {
    const store = connect();
    const owner = newConversationId();
    const id = await conversationOf(store, 2, { owner, title: "Two" });
    await store.summarise(id, summaryTo(1));
    const { items } = await store.list(owner, { size: 5 });
    expect(items).toEqual([{ ...(await store.load(id, 0))?.conversation, summary: undefined }]);
  });

  test("one that reaches further replaces it; one that reaches as far and an older one do not", async () => {
    const store = connect();
    const id = await conversationOf(store, 9);
    expect(await store.summarise(id, summaryTo(4))).toBe(true);
    expect(await store.summarise(id, summaryTo(4, "another"))).toBe(false);
    expect(await store.summarise(id, summaryTo(3))).toBe(false);
    expect(await summaryOf(id)).toEqual(summaryTo(4));
    expect(await store.summarise(id, summaryTo(8))).toBe(true);
    expect(await summaryOf(id)).toEqual(summaryTo(8));
  });

  test("one that is repeated is true: the first answer may be lost", async () => {
    const store = connect();
    const id = await conversationOf(store, 9);
    for (let twice = 0; twice < 2; twice++) expect(await store.summarise(id, summaryTo(4))).toBe(true);
    await store.summarise(id, summaryTo(8));
    expect(await store.summarise(id, summaryTo(4))).toBe(false);
    expect(await summaryOf(id)).toEqual(summaryTo(8));
  });

  test("of rivals the one that reaches furthest stays, beside turns that begin and end", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 2, maxLength: 6 }),
        async (reaches) => {
          const id = await conversationOf(connect(), 9);
          const turning = async () => {
            const store = connect();
            const turn = await begin(store, { conversationId: id, turnCount: 9 });
            await store.complete(turn, holderOf(turn), replyOf("done"), "Title");
          };
          const rivals = reaches.map((upToSeq, index) =>
            connect().summarise(id, summaryTo(upToSeq, `by ${index}`)),
          );
          const [stored] = await Promise.all([Promise.all(rivals), turning()]);
          const summary = await summaryOf(id);
          expect(summary?.upToSeq).toBe(Math.max(...reaches));
          const writer = Number(summary?.text.slice("by ".length));
          expect(stored[writer]).toBe(true);
          expect((await connect().load(id, 1))?.conversation).toMatchObject({
            turnCount: 10,
            title: "Title",
          });
        },
      ),
      { numRuns: 5 },
    );
  });

  test("of a conversation that is not there, or not any more, nothing is stored", async () => {
    const store = connect();
    const owner = newConversationId();
    const none = newConversationId();
    expect(await store.summarise(none, summaryTo(1))).toBe(false);
    expect(await store.load(none, 1)).toBeUndefined();

    const erased = await conversationOf(store, 2, { owner });
    await store.summarise(erased, summaryTo(1));
    await store.erase(owner, erased);
    expect(await store.summarise(erased, summaryTo(2))).toBe(false);
    expect(await store.load(erased, 1)).toBeUndefined();
    expect(await store.erase(owner, erased)).toBeUndefined();
  });

  test("without time left nothing is stored", async () => {
    const store = connect();
    const id = await conversationOf(store, 2);
    await expect(store.summarise(id, summaryTo(1), AbortSignal.abort())).rejects.toMatchObject({
      code: "deadline_exceeded",
    });
    expect(await summaryOf(id)).toBeUndefined();
  });
}
