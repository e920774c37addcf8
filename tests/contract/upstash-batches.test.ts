import { setTimeout as delay } from "node:timers/promises";
import { Redis as RespClient } from "ioredis";
import { describe, expect, test } from "vitest";
import { enginesFor } from "../support/redis-engines.ts";
import { restricted, unavailable, upstashSuite } from "../support/upstash-suite.ts";

/** Increments `counter` on connections of its own, without a pause, until the function returned is called. */
function hammer(redisUrl: string, counter: string): () => Promise<unknown> {
  let isStopping = false;
  const rivals = Array.from({ length: 4 }, async () => {
    const client = new RespClient(redisUrl);
    while (!isStopping) await client.incr(counter);
    client.disconnect();
  });
  return () => {
    isStopping = true;
    return Promise.all(rivals);
  };
}

const engines = await enginesFor("batches and contention over Upstash REST");

describe.each(engines)("Upstash batches on %s", (engine) => {
  const suite = upstashSuite(engine);

  describe("pipelines", () => {
    test("report an error in its place and run the rest in order", async () => {
      const { key } = suite;
      const { status, json } = await suite.rest.pipeline([
        ["SET", key, "1"],
        ["HGET", key, "f"],
        ["NOPE"],
        ["GET"],
        ["SELECT", 1],
        ["INCR", key],
        ["GET", key],
      ]);
      expect(status).toBe(200);
      expect(json).toEqual([
        { result: "OK" },
        { error: "WRONGTYPE Operation against a key holding the wrong kind of value" },
        { error: unavailable("NOPE") },
        { error: "ERR wrong number of arguments for 'get' command" },
        { error: restricted("SELECT") },
        { result: 2 },
        { result: "2" },
      ]);
    });

    test("with a malformed command run nothing", async () => {
      const { key } = suite;
      const { status, json } = await suite.rest.pipeline([
        ["SET", key, "1"],
        ["SET", key, null],
      ]);
      expect({ status, json }).toEqual({ status: 400, json: { error: "ERR null args are not supported" } });
      expect(await suite.rest.result("EXISTS", key)).toBe(0);
    });
  });

  describe("transactions", () => {
    test("are isolated from rivals on other connections", async () => {
      const { key } = suite;
      const counter = key;
      const size = 30;
      // Padding makes each transaction arrive in many reads, between which the rivals get their turns.
      const pad = ["SET", `${key}:pad`, "x".repeat(30_000)];
      const commands = Array.from({ length: size }, () => [pad, ["INCR", counter]]).flat();
      const stopRivals = hammer(suite.backend.redisUrl, counter);
      try {
        for (let round = 0; round < 10; round += 1) {
          const { status, json } = await suite.rest.transaction(commands);
          const counts = (json as { result: unknown }[])
            .map(({ result }) => result)
            .filter((result) => result !== "OK");
          expect(status).toBe(200);
          expect(counts).toEqual(Array.from({ length: size }, (_, index) => Number(counts[0]) + index));
        }
      } finally {
        await stopRivals();
      }
      expect(Number(await suite.rest.result("GET", counter))).toBeGreaterThan(10 * size);
    });

    test("interleave with other requests of the gateway as wholes", async () => {
      const { key } = suite;
      const increments = Array.from({ length: 20 }, () => ["INCR", key]);
      const answers = await Promise.all(
        Array.from({ length: 50 }, (_, index) =>
          index % 2 === 0 ? suite.rest.transaction(increments) : suite.rest.command("INCR", key),
        ),
      );
      for (const { json } of answers.filter((_, index) => index % 2 === 0)) {
        const counts = (json as { result: number }[]).map(({ result }) => result);
        expect(counts).toEqual(counts.map((_, index) => counts[0]! + index));
      }
      expect(await suite.rest.result("GET", key)).toBe(String(25 * 20 + 25));
    });

    test("that Redis will not queue are discarded whole, with status 400", async () => {
      const { key } = suite;
      for (const [command, error] of [
        [["GET"], "ERR wrong number of arguments for 'get' command"],
        [["NOPE"], unavailable("NOPE")],
      ] as const) {
        const { status, json } = await suite.rest.transaction([
          ["SET", key, "1"],
          [...command],
          ["SET", key, "2"],
        ]);
        expect({ status, json }).toEqual({ status: 400, json: { error } });
        expect(await suite.rest.result("EXISTS", key)).toBe(0);
      }
    });

    test("run to the end past an error at execution", async () => {
      const { key } = suite;
      const { status, json } = await suite.rest.transaction([
        ["SET", key, "1"],
        ["HGET", key, "f"],
        ["INCR", key],
      ]);
      expect(status).toBe(200);
      expect(json).toEqual([
        { result: "OK" },
        { error: "WRONGTYPE Operation against a key holding the wrong kind of value" },
        { result: 2 },
      ]);
    });
  });

  describe("contention and expiry", () => {
    test("SET NX has one winner among 100 rivals", async () => {
      const { key } = suite;
      const rivals = Array.from({ length: 100 }, (_, id) =>
        suite.rest.result("set", key, `rival-${id}`, "nx", "px", 60_000),
      );
      const results = await Promise.all(rivals);
      expect(results.filter((result) => result === "OK")).toHaveLength(1);
      expect(results.filter((result) => result === null)).toHaveLength(99);
      expect(await suite.rest.result("GET", key)).toBe(`rival-${results.indexOf("OK")}`);
    });

    test("keys expire, and GETEX slides the expiry", async () => {
      const { key, rest } = suite;
      await rest.command("SET", key, "v", "PX", 50);
      await rest.command("SET", `${key}:slid`, "v", "EX", 100);
      expect(await rest.result("PTTL", key)).toBeLessThanOrEqual(50);
      expect(await rest.result("GETEX", `${key}:slid`, "EX", 1_000)).toBe("v");
      expect(await rest.result("TTL", `${key}:slid`)).toBeGreaterThan(900);
      await delay(80);
      expect(await rest.result("MGET", key, `${key}:slid`)).toEqual([null, "v"]);
      expect(await rest.result("TTL", key)).toBe(-2);
    });
  });
});
