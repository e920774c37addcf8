import { setTimeout as sleep } from "node:timers/promises";
import { type Account, type Amount, Ledger } from "@parley/core/budget/ledger";
import { afterEach, describe, expect, test } from "vitest";
import { fc } from "../support/property.ts";
import { enginesFor } from "../support/redis-engines.ts";
import { redisWorker } from "../support/redis-worker.ts";
import { upstashSuite } from "../support/upstash-suite.ts";

const LONG = 3_600_000;
const DAY_MS = 86_400_000;
const costing = (tokens: number, nanoUsd = 0): Amount => ({ tokens, nanoUsd });

describe.each(await enginesFor("the ledger of budgets"))("on %s", (engine) => {
  const suite = upstashSuite(engine);
  afterEach(() => {
    suite.gateway.fault = undefined;
  });

  /** One Lambda instance. */
  const ledger = (leaseMs = LONG) => new Ledger({ redis: redisWorker(suite.gateway).redis, leaseMs });
  const user = (limit: Account["limit"]): Account => ({ key: `${suite.key}:user`, limit });
  const owner = (limit: Account["limit"]): Account => ({ key: `${suite.key}:key`, limit });

  async function stateOf({ key }: Account) {
    const flat = (await suite.rest.result("HGETALL", key)) as string[];
    const fields = new Map<string, string>();
    for (let at = 0; at < flat.length; at += 2) fields.set(flat[at] ?? "", flat[at + 1] ?? "");
    const number = (name: string) => Number(fields.get(name) ?? 0);
    return {
      spent: costing(number("tokens"), number("cost")),
      held: costing(number("held_tokens"), number("held_cost")),
      calls: [...fields.keys()].filter((name) => name.startsWith("call:")).length,
    };
  }

  test("counts what a call cost in place of what it held, to the unit, in every account", async () => {
    const accounts = [user({ tokens: 10_000 }), owner({ nanoUsd: 5_000_000_000_000 })];
    const one = ledger();
    expect(await one.reserve("a", accounts, costing(900, 4_321_000_017))).toEqual({ granted: true });
    for (const account of accounts) {
      expect(await stateOf(account)).toEqual({
        spent: costing(0),
        held: costing(900, 4_321_000_017),
        calls: 1,
      });
    }
    await one.settle("a", accounts, costing(321, 1_234_567_891_011));
    for (const account of accounts) {
      expect(await stateOf(account)).toEqual({
        spent: costing(321, 1_234_567_891_011),
        held: costing(0),
        calls: 0,
      });
    }
  });

  test("refuses from the limit on, and says when the day ends", async () => {
    const account = user({ tokens: 100 });
    await ledger().reserve("a", [account], costing(99));
    await ledger().settle("a", [account], costing(99));
    expect(await ledger().reserve("b", [account], costing(50))).toEqual({ granted: true });
    await ledger().settle("b", [account], costing(1));
    const before = Date.now();
    const refused = await ledger().reserve("c", [account], costing(1));
    const resetsAt = (Math.floor(before / DAY_MS) + 1) * DAY_MS;
    expect(refused).toMatchObject({ granted: false, account: 0, spent: true, resetsAt });
    const left = (refused as { resetsInMs: number }).resetsInMs;
    expect(left).toBeLessThanOrEqual(resetsAt - before);
    expect(left).toBeGreaterThan(resetsAt - before - 60_000);
  });

  test("names the account that has too little, and holds nothing in the others", async () => {
    const accounts = [user({ tokens: 1_000 }), owner({ nanoUsd: 500 })];
    await ledger().reserve("a", [accounts[1] as Account], costing(10, 500));
    await ledger().settle("a", [accounts[1] as Account], costing(10, 500));
    expect(await ledger().reserve("b", accounts, costing(10, 10))).toMatchObject({ account: 1, spent: true });
    expect(await stateOf(accounts[0] as Account)).toMatchObject({ held: costing(0), calls: 0 });
  });

  test("tells what is used up from what is only held", async () => {
    const accounts = [user({ tokens: 100 }), owner({ tokens: 50 })];
    await ledger().reserve("a", [accounts[0] as Account], costing(100));
    expect(await ledger().reserve("b", accounts, costing(1))).toMatchObject({ account: 0, spent: false });
    await ledger().reserve("c", [accounts[1] as Account], costing(50));
    await ledger().settle("c", [accounts[1] as Account], costing(50));
    expect(await ledger().reserve("d", accounts, costing(1))).toMatchObject({ account: 1, spent: true });
  });

  test("50 at once pass a limit by one reservation at the most", async () => {
    const account = user({ tokens: 1_000, nanoUsd: 1_000_000 });
    const workers = Array.from({ length: 50 }, () => ledger());
    const grants = await Promise.all(
      workers.map((each, at) => each.reserve(`call-${at}`, [account], costing(150, 7))),
    );
    // 7 * 150 is the first that is not below 1,000.
    expect(grants.filter(({ granted }) => granted)).toHaveLength(7);
    expect(await stateOf(account)).toMatchObject({ held: costing(1_050, 49), calls: 7 });
  });

  test("a reply that was lost changes nothing when the command is repeated", async () => {
    const account = user({ tokens: 1_000 });
    const one = ledger();
    for (let time = 0; time < 2; time++) await one.reserve("a", [account], costing(400));
    expect(await stateOf(account)).toMatchObject({ held: costing(400), calls: 1 });
    for (let time = 0; time < 2; time++) await one.settle("a", [account], costing(300));
    expect(await stateOf(account)).toEqual({ spent: costing(300), held: costing(0), calls: 0 });
  });

  test("who dies with a reservation has spent it when its time is over", async () => {
    const account = user({ tokens: 1_000 });
    await ledger(100).reserve("dead", [account], costing(600));
    await sleep(120);
    expect(await ledger().reserve("b", [account], costing(100))).toEqual({ granted: true });
    expect(await stateOf(account)).toEqual({ spent: costing(600), held: costing(100), calls: 1 });
    // It was only slow: it cannot give back what has been counted.
    await ledger().settle("dead", [account], costing(1));
    expect(await stateOf(account)).toEqual({ spent: costing(600), held: costing(100), calls: 1 });
  });

  test("begins anew with the day, and what was held is yesterday's", async () => {
    const account = user({ tokens: 100 });
    await ledger().reserve("a", [account], costing(100));
    await ledger().settle("a", [account], costing(100));
    await suite.rest.result("HINCRBY", account.key, "day", "-1");
    expect(await ledger().reserve("b", [account], costing(10))).toEqual({ granted: true });
    expect(await stateOf(account)).toEqual({ spent: costing(0), held: costing(10), calls: 1 });
    await ledger().settle("a", [account], costing(90));
    expect(await stateOf(account)).toMatchObject({ spent: costing(0) });
    const left = Number(await suite.rest.result("PTTL", account.key));
    expect(left).toBeGreaterThan(0);
    expect(left).toBeLessThanOrEqual(DAY_MS);
  });

  type Step = { kind: "reserve" | "settle" | "repeat"; call: number; tokens: number };
  const steps: fc.Arbitrary<Step[]> = fc.array(
    fc.record({
      kind: fc.constantFrom("reserve" as const, "settle" as const, "repeat" as const),
      call: fc.nat({ max: 7 }),
      tokens: fc.nat({ max: 60 }),
    }),
    { minLength: 1, maxLength: 25 },
  );

  test("agrees with a ledger on paper, whatever happens in whatever order", async () => {
    await fc.assert(
      fc.asyncProperty(steps, async (taken) => {
        const account: Account = { key: `${suite.key}:${Math.random()}`, limit: { tokens: 100 } };
        const one = ledger();
        const held = new Map<number, number>();
        let spent = 0;
        const heldInAll = () => [...held.values()].reduce((sum, tokens) => sum + tokens, 0);
        for (const { kind, call, tokens } of taken) {
          if (kind === "settle") {
            await one.settle(String(call), [account], costing(tokens));
            if (held.delete(call)) spent += tokens;
            continue;
          }
          if (kind === "repeat" && !held.has(call)) continue;
          const expected = held.has(call) || spent + heldInAll() < 100;
          const grant = await one.reserve(String(call), [account], costing(tokens));
          expect(grant.granted).toBe(expected);
          if (!grant.granted) expect(grant.spent).toBe(spent >= 100);
          if (expected && !held.has(call)) held.set(call, tokens);
        }
        expect(await stateOf(account)).toEqual({
          spent: costing(spent),
          held: costing(heldInAll()),
          calls: held.size,
        });
      }),
      { numRuns: 25 },
    );
  });
});
