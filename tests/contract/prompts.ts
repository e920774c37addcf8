import { tombstoneId } from "@parley/core/telegram/tombstones";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { NOW } from "../support/stored-turns.ts";
import { type Stores, timeOf } from "../support/stores.ts";

const PROMPTS = { pk: "PROMPTS", collection: "prompts", id: "prompts" };
const user = { platform: "telegram", userId: "123" };

/** What every `PromptStore` and `Tombstones` must do, whatever they are built on. */
export function promptsContract(name: string, open: () => Promise<Stores>): void {
  describe(`prompts and tombstones: ${name}`, () => {
    let under: Stores;
    beforeAll(async () => {
      under = await open();
    });
    afterAll(() => under?.close());

    test("prompts are none, then as they were written last, then none again", async () => {
      const { prompts } = under;
      expect(await prompts.read()).toBeUndefined();
      await prompts.reset();
      const json = `{"version":"1","default":"${"\\u0000 € 🧭 ".repeat(1_000)}"}\n`;
      await prompts.write("first");
      await prompts.write(json);
      expect(await prompts.read()).toBe(json);
      expect(await prompts.read(AbortSignal.timeout(5_000))).toBe(json);
      await prompts.reset();
      expect(await prompts.read()).toBeUndefined();
    });

    test("prompts that a hand has put there in another form are broken, and not absent", async () => {
      for (const fields of [{ json: 1 }, { json: null }, { text: "x" }, { json: { version: "1" } }]) {
        await under.putByHand(PROMPTS, fields);
        expect(await under.prompts.read()).toBe("");
      }
      await under.prompts.reset();
    });

    test("prompts are not waited for when there is no time left", async () => {
      await expect(under.prompts.read(AbortSignal.abort())).rejects.toThrow();
    });

    test("a tombstone tells when, the last one counts, and another user has none", async () => {
      const { tombstones } = under;
      expect(await tombstones.get("telegram", "123")).toBeUndefined();
      await tombstones.set("telegram", "123", NOW);
      await tombstones.set("telegram", "123", NOW + 1);
      expect(await tombstones.get("telegram", "123")).toBe(NOW + 1);
      for (const [platform, id] of [
        ["telegram", "1234"],
        ["telegram", ""],
        ["cli", "123"],
        ["telegram1", "23"],
      ] as const) {
        expect(await tombstones.get(platform, id)).toBeUndefined();
      }
    });

    test("a tombstone holds no id, and goes by itself after 29 days, when no queue can hold anything older", async () => {
      await under.tombstones.set(user.platform, user.userId, NOW);
      const id = tombstoneId(user.platform, user.userId);
      const row = await under.rowBy({ pk: `FORGOTTEN#${id}`, collection: "forgotten", id });
      expect(timeOf(row?.["expires_at"])).toBe(NOW + 29 * 86_400_000);
      expect(JSON.stringify(Object.keys(row ?? {}).toSorted())).not.toContain("user");
      expect(id).toMatch(/^[0-9a-f]{64}$/);
    });
  });
}
