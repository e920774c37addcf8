import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { startGate } from "../support/hold-gate.ts";
import { removeTemporaryFolders, runParley } from "../support/parley.ts";
import { BOT, type Speaker, startTelegramRig, type TelegramRig } from "../support/telegram-rig.ts";

const [ADA, BOB] = [7_001_111, 7_002_222];
const MENTION = `@${BOT.username}`;
/** In everything that Ada says. */
const WORD = "xylophone";

// Each run of the command is a process of its own.
describe.each(["dynamodb", "mongodb"] as const)(
  "npm run store -- forget, on %s",
  { timeout: 90_000 },
  (storeKind) => {
    let rig: TelegramRig;
    let gate: Awaited<ReturnType<typeof startGate>>;
    const groups: number[] = [];

    beforeAll(async () => {
      rig = await startTelegramRig({
        engines: { redis: { engine: "embedded" }, storeKind },
        // So that what they spend is counted.
        env: { BUDGET_USER_TOKENS_PER_DAY: "1000000" },
        async between(engines) {
          const { origin } = new URL(engines.model);
          gate = await startGate(origin);
          return { ...engines, model: engines.model.replace(origin, gate.origin) };
        },
      });
      await rig.control.createUser({ id: ADA, first_name: "Ada", last_name: "Lovelace" });
      await rig.control.createUser({ id: BOB, first_name: "Bob" });
      for (const user of [ADA, BOB]) await rig.control.createPrivateChat({ user });
      for (let group = 0; group < 2; group++) {
        groups.push((await rig.control.createGroup({ administrators: true, members: [ADA, BOB] })).id);
      }
    });
    afterAll(async () => {
      await rig?.close();
      await gate?.close();
    });
    afterEach(removeTemporaryFolders);

    const privately = (user: number): Speaker => rig.speaker({ chat: user, from: user });
    const inGroup = (at: number, from: number): Speaker => rig.speaker({ chat: groups[at] as number, from });

    async function forget(...args: string[]) {
      const own = ["store", "forget", "--platform", "telegram", "--user", String(ADA), ...args];
      const { code, stdout, stderr } = await runParley(own, { env: rig.env });
      expect(stdout + stderr).not.toContain(WORD);
      expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
      return Object.fromEntries(
        [...stdout.matchAll(/^ {2}(.+?) {2,}(\d+)$/gm)].map(([, name, count]) => [name, Number(count)]),
      );
    }

    /** Every row of the store and every key of Redis, as texts. */
    async function everything(): Promise<string[]> {
      const keys = ((await rig.redis.result("KEYS", "*")) as string[]).filter(
        (key) => !key.startsWith("ratelimit"),
      );
      // What was spent is no string: its key tells enough.
      const values = (await rig.redis.result("MGET", ...keys)) as (string | null)[];
      const rows = await rig.rows();
      return [
        ...rows.map((row) => JSON.stringify(row)),
        ...keys.map((key, at) => `${key} ${values[at]}`),
      ].sort();
    }
    const ofAda = (texts: string[]) =>
      texts.filter((text) => text.includes(WORD) || text.includes(String(ADA)));

    test("leaves no row and no key of the user, and everything of everybody else", async () => {
      await privately(BOB).ask("Hello, I am Bob");
      await inGroup(1, BOB).ask(`${MENTION} Bob begins here`);
      await rig.idle();
      const before = await everything();

      await privately(ADA).ask(`My ${WORD} is green`);
      await privately(ADA).ask(`Where is my ${WORD}?`);
      await privately(ADA).ask("/help");
      await inGroup(0, ADA).ask(`${MENTION} my ${WORD} again`);
      await inGroup(0, BOB).ask(`${MENTION} what a ${WORD}`);
      await inGroup(1, ADA).ask(`${MENTION} Ada's ${WORD} in Bob's`);
      await rig.idle();
      const full = await everything();
      expect(ofAda(full).length).toBeGreaterThan(12);
      expect(full.filter((text) => text.startsWith("budget:"))).toHaveLength(2);

      const counted = await forget("--dry-run");
      expect(await everything()).toEqual(full);
      const erased = await forget();
      expect(erased).toMatchObject({ conversations: 2, messages: 5 });
      expect(counted).toMatchObject({ conversations: 2 });
      expect(counted["keys in Redis"]).toBe(erased["keys in Redis"]);
      const left = await everything();
      expect(ofAda(left)).toEqual([]);
      // The conversation itself has gone on, with what was said by Ada.
      const bobs = before.filter((text) => /"message":"[^"]*(I am Bob|Bob begins here)/.test(text));
      expect(bobs).toHaveLength(2);
      for (const row of bobs) expect(left).toContain(row);
      expect(await rig.turns(BOB)).toHaveLength(1);
      expect((await rig.turns(groups[1] as number)).map(({ message }) => message)).toEqual([
        expect.stringContaining("Bob begins here"),
      ]);

      expect(await forget()).toEqual({
        conversations: 0,
        messages: 0,
        chats: 0,
        "answers on their way": 0,
        "keys in Redis": 0,
      });
    });

    test("what is being answered meanwhile, and what waits in the queue, comes to nothing; what comes later is new", async () => {
      // Telegram tells whole seconds.
      await sleep(1_100);
      const ada = privately(ADA);
      const heard = (await ada.heard()).length;
      const hold = gate.hold(`first ${WORD}`);
      await ada.say(`The first ${WORD}`);
      await hold.reached;
      await ada.say(`The second ${WORD}`);
      await rig.control.settled({ timeout_ms: 20_000 });
      expect(await forget()).toMatchObject({ conversations: 1, messages: 1 });
      hold.release();
      await rig.idle();
      expect(ofAda(await everything())).toEqual([]);
      expect(await ada.heard()).toHaveLength(heard);
      expect(rig.deadLetters()).toEqual([]);

      await sleep(1_100);
      expect((await ada.ask("Hello again")).text).toMatch(/\S/);
      expect(await rig.turns(ADA)).toMatchObject([{ seq: 1, message: "Hello again" }]);
    });
  },
);
