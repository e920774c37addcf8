import type { ConversationStore } from "@parley/core/conversation/conversation-store";
import { newConversationId } from "@parley/core/id";
import { expect, test } from "vitest";
import { fc } from "../support/property.ts";
import { begin, replyOf, sessionClaim, turnToBegin } from "../support/stored-turns.ts";

/** Text that clients choose, drawn towards what separates and escapes in keys. */
const name = fc.oneof(
  fc.string({ minLength: 1, maxLength: 12, unit: fc.constantFrom("#", "%", "a", "/", ":", "\u0000") }),
  fc.string({ minLength: 1, maxLength: 12, unit: "binary" }),
  fc.constantFrom("CONV#", "TURN#HEAD", "%23", "__proto__", "HEAD", "🧭", "é", "e\u0301", "\uffff", " "),
);

/** Owners, turn ids, platforms and chats are anything that UTF-8 can hold, and none reaches into another's place. */
export function hostileNamesContract(store: () => ConversationStore): void {
  test.each([
    [
      ["a#b", "c"],
      ["a", "b#c"],
    ],
    [
      ["a%23b", "c"],
      ["a#b", "c"],
    ],
    [
      ["a", "%"],
      ["a", "%25"],
    ],
    [
      ["é", "x"],
      ["e\u0301", "x"],
    ],
    [
      ["A", "x"],
      ["a", "x"],
    ],
    [
      ["a ", "x"],
      ["a", " x"],
    ],
  ] as const)("%j and %j are two", async (one, other) => {
    const prefix = newConversationId();
    const session = sessionClaim();
    const [first, second] = [one, other].map(([owner, rest]) => ({
      owner: `${prefix}${owner}`,
      turnId: rest,
      session: { ...session, chatId: rest },
    }));
    const turn = await begin(store(), first);
    const twin = await begin(store(), second);
    expect(twin.conversationId).not.toBe(turn.conversationId);
    const [left, right] = [one, other].map(([platform, chatId]) => ({ ...session, platform, chatId }));
    await begin(store(), { owner: prefix, session: left });
    await begin(store(), { owner: prefix, session: right });
  });

  test("any names come back as they went in", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.record({ owner: name, turnId: name, platform: name, chatId: name, userId: name, message: name }),
        async ({ owner: chosen, turnId, message, ...chat }) => {
          // Runs share the store, and the property may well draw one name twice.
          const owner = `${newConversationId()}${chosen}`;
          const session = sessionClaim(chat);
          const request = turnToBegin({ owner, turnId, message, platform: chat.platform, session });
          const begun = await store().begin(request);
          expect(begun).toMatchObject({ outcome: "begun", turn: { turnId, message } });
          expect(await store().begin({ ...request, lease: { holder: "h", until: 1 } })).toMatchObject({
            outcome: "known",
            turn: { turnId, message },
          });
          const { conversationId } = request;
          expect(await store().sessionConversation(owner, session, 0)).toBe(conversationId);
          expect((await store().list(owner, { size: 5 })).items).toMatchObject([
            { id: conversationId, owner, platform: chat.platform },
          ]);
        },
      ),
      { numRuns: 25 },
    );
  });

  test("titles, messages and replies of any well-formed text come back as they went in", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.string({ unit: "binary" }),
        fc.string({ unit: "binary" }),
        fc.string({ unit: "binary", minLength: 1 }),
        async (message, text, title) => {
          const turn = await begin(store(), { message });
          await store().complete(turn, turn.lease?.holder ?? "", replyOf(text), title);
          const loaded = await store().load(turn.conversationId, 1);
          expect(loaded).toMatchObject({ conversation: { title }, turns: [{ message, reply: { text } }] });
        },
      ),
      { numRuns: 25 },
    );
  });
}
