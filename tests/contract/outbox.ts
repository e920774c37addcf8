import { newTurnId } from "@parley/core/id";
import type { Outbox, OutboxEntry, OutboxPart, PartState } from "@parley/core/telegram/outbox";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ManualClock } from "../support/manual-clock.ts";
import { entryOf } from "../support/outbox-entries.ts";
import { fc } from "../support/property.ts";
import { NOW } from "../support/stored-turns.ts";
import { type Stores, timeOf } from "../support/stores.ts";

const STATES = ["pending", "sending", "sent", "uncertain", "dropped"] as const satisfies PartState[];
const SETTLED = ["pending", "sent", "uncertain", "dropped"] as const;
type Settled = (typeof SETTLED)[number];

const statesOf = (entry: OutboxEntry | undefined) => entry?.parts.map(({ state }) => state);

/** What every `Outbox` must do, whatever it is built on. */
export function outboxContract(name: string, open: () => Promise<Stores>): void {
  describe(`outbox: ${name}`, () => {
    let under: Stores;
    let outbox: Outbox;

    beforeAll(async () => {
      under = await open();
      outbox = under.outbox();
    });
    afterAll(() => under?.close());

    /** An entry whose first parts have come that far; those after them are pending. */
    async function opened(count: number, ...states: PartState[]): Promise<string> {
      const { id } = (await outbox.open(entryOf(count))).entry;
      for (const [index, state] of states.entries()) {
        if (index > 0 && state !== "pending") await outbox.take(id, index);
        if (state !== "sending" && (index === 0 || state !== "pending")) {
          await outbox.settle(id, index, state, false);
        }
      }
      return id;
    }
    const states = async (id: string) => statesOf(await outbox.get(id));

    describe("open", () => {
      test("stores the entry, the first part on its way", async () => {
        const entry = entryOf(3, { place: { chat: -100_123, thread: 7 }, replyTo: 12 });
        const [first, ...rest] = entry.parts;
        const stored = { ...entry, parts: [{ ...first, state: "sending" }, ...rest] };
        expect(await outbox.open(entry)).toEqual({ entry: stored, created: true });
        expect(await outbox.get(entry.id)).toEqual(stored);
      });

      test("takes a place without a topic, no message to reply to, and no entities", async () => {
        const entry = entryOf(1, { parts: [{ text: "Hello!", entities: [], state: "pending" }] });
        await outbox.open(entry);
        expect(await outbox.get(entry.id)).toEqual({
          ...entry,
          parts: [{ text: "Hello!", entities: [], state: "sending" }],
        });
      });

      test("leaves what stands as it is, however far it has come", async () => {
        const id = await opened(3, "sent", "sending");
        const standing = await outbox.get(id);
        const late = entryOf(1, { id, parts: [{ text: "something else", entities: [], state: "pending" }] });
        expect(await outbox.open(late)).toEqual({ entry: standing, created: false });
        expect(await outbox.get(id)).toEqual(standing);
      });

      test("of 20 at once creates one, which all are told", async () => {
        const { id } = entryOf(0);
        const results = await Promise.all(
          Array.from({ length: 20 }, (_, rival) => {
            const parts = [{ text: `by ${rival}`, entities: [], state: "pending" as const }];
            return under.outbox().open(entryOf(1, { id, parts }));
          }),
        );
        const created = results.filter((result) => result.created);
        expect(created).toHaveLength(1);
        for (const { entry } of results) expect(entry).toEqual(created[0]?.entry);
        expect(await outbox.get(id)).toEqual(created[0]?.entry);
      });

      // Three bytes a unit in UTF-8: what a unit can take at the most.
      test.each<[string, number, OutboxPart["entities"][number]]>([
        [
          "20 full parts of 100 entities",
          4_096,
          { type: "expandable_blockquote", offset: 3_999, length: 96 },
        ],
        [
          "the longest reply, with 2,000 links",
          1_600,
          { type: "text_link", offset: 1_000, length: 96, url: `https://example.org/${"a".repeat(40)}` },
        ],
      ])("takes %s", async (_what, length, entity) => {
        const part = { text: "\u0928".repeat(length), entities: Array(100).fill(entity) };
        const parts = Array.from({ length: 20 }, () => ({ ...part, state: "pending" as const }));
        const { id } = (await outbox.open(entryOf(0, { parts }))).entry;
        expect(await outbox.settle(id, 0, "uncertain", true)).toBe(true);
        const stored = await outbox.get(id);
        const states: PartState[] = ["uncertain", "sending", ...Array(18).fill("pending")];
        expect(stored?.parts).toEqual(states.map((state) => ({ ...part, state })));
      });
    });

    describe("take", () => {
      test.each(STATES)("of a part that is %s", async (state) => {
        const id = await opened(3, "sent", state);
        const before = await outbox.get(id);
        expect(await outbox.take(id, 1)).toBe(state === "pending");
        if (state === "pending") expect(await states(id)).toEqual(["sent", "sending", "pending"]);
        else expect(await outbox.get(id)).toEqual(before);
      });

      test("at once succeeds for one", async () => {
        const id = await opened(2, "sent");
        const taken = await Promise.all(Array.from({ length: 20 }, () => under.outbox().take(id, 1)));
        expect(taken.filter(Boolean)).toHaveLength(1);
      });
    });

    describe("settle", () => {
      const cases = STATES.flatMap((state) => SETTLED.map((to) => [state, to] as const));
      test.each(cases)("of a part that is %s as %s", async (state, to) => {
        const id = await opened(3, "sent", state);
        const before = await outbox.get(id);
        expect(await outbox.settle(id, 1, to, false)).toBe(state === "sending");
        if (state === "sending") expect(await states(id)).toEqual(["sent", to, "pending"]);
        else expect(await outbox.get(id)).toEqual(before);
      });

      test.each(STATES)("with the next part, which is %s, is done for both or for none", async (state) => {
        const id = await opened(3, "sending", state);
        const before = await outbox.get(id);
        expect(await outbox.settle(id, 0, "sent", true)).toBe(state === "pending");
        if (state === "pending") expect(await states(id)).toEqual(["sent", "sending", "pending"]);
        else expect(await outbox.get(id)).toEqual(before);
      });

      test("with a next part that there is not is refused", async () => {
        const id = await opened(2, "sent", "sending");
        expect(await outbox.settle(id, 1, "sent", true)).toBe(false);
        expect(await states(id)).toEqual(["sent", "sending"]);
      });

      test("at once succeeds for one, whose word stands", async () => {
        const id = await opened(2);
        const words = Array.from({ length: 20 }, (_, index) => SETTLED[index % 4] as Settled);
        const settled = await Promise.all(words.map((word) => under.outbox().settle(id, 0, word, false)));
        const at = settled.indexOf(true);
        expect(settled.filter(Boolean)).toHaveLength(1);
        expect(await states(id)).toEqual([words[at], "pending"]);
      });
    });

    test("of an entry or a part that there is not, nothing is known and nothing is made", async () => {
      const unknown = newTurnId();
      expect(await outbox.get(unknown)).toBeUndefined();
      expect(await outbox.take(unknown, 0)).toBe(false);
      expect(await outbox.settle(unknown, 0, "sent", false)).toBe(false);
      expect(await outbox.get(unknown)).toBeUndefined();

      const id = await opened(1);
      expect(await outbox.take(id, 1)).toBe(false);
      expect(await outbox.settle(id, 19, "sent", false)).toBe(false);
      expect(await states(id)).toEqual(["sending"]);
    });

    test("an entry goes by itself after 48 hours, when Telegram has long given up on its update", async () => {
      const { id } = (await under.outbox(new ManualClock(NOW)).open(entryOf(1))).entry;
      const row = await under.rowBy({ pk: `OUTBOX#${id}`, collection: "outbox", id });
      expect(timeOf(row?.["expires_at"])).toBe(NOW + 48 * 3_600_000);
    });

    test("any steps in any order do what the states allow", async () => {
      const part = fc.nat(2);
      const step = fc.oneof(
        fc.record({ kind: fc.constant("take" as const), part }),
        fc.record({
          kind: fc.constant("settle" as const),
          part,
          to: fc.constantFrom(...SETTLED),
          next: fc.boolean(),
        }),
      );
      await fc.assert(
        fc.asyncProperty(fc.array(step, { maxLength: 12 }), async (steps) => {
          const { id } = (await outbox.open(entryOf(3))).entry;
          const model: (PartState | undefined)[] = ["sending", "pending", "pending"];
          for (const step of steps) {
            const at = step.part;
            const taking = step.kind === "take";
            const next = !taking && step.next;
            const fits =
              model[at] === (taking ? "pending" : "sending") && (!next || model[at + 1] === "pending");
            const done = taking ? outbox.take(id, at) : outbox.settle(id, at, step.to, next);
            expect(await done).toBe(fits);
            if (!fits) continue;
            model[at] = taking ? "sending" : step.to;
            if (next) model[at + 1] = "sending";
          }
          expect(await states(id)).toEqual(model);
        }),
        { numRuns: 15 },
      );
    });

    test.each([
      ["a#b", "a%23b"],
      ["a", "A"],
      ["é", "e\u0301"],
      ["a", "a "],
      ["telegram:test_bot:1", "telegram:test_bot:11"],
      ["a", "a\u0000"],
      ["OUTBOX", "OUTBOX#OUTBOX"],
      ["🧭", "🧭\ufe0f"],
    ])("the ids %j and %j are two", async (one, other) => {
      const prefix = newTurnId();
      const ids = [`${prefix}${one}`, `${prefix}${other}`];
      for (const id of ids) {
        const opened = await outbox.open(entryOf(1, { id, replyTo: id.length }));
        expect(opened).toMatchObject({ created: true, entry: { id, replyTo: id.length } });
      }
      expect(await outbox.settle(ids[0] ?? "", 0, "sent", false)).toBe(true);
      expect(await states(ids[1] ?? "")).toEqual(["sending"]);
    });
  });
}
