import { randomUUID } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { Redis as RespClient } from "ioredis";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type RedisBackend, startRedisBackend } from "../../packages/local/src/upstash/backend.ts";
import { startUpstash, type UpstashGateway } from "../../packages/local/src/upstash/server.ts";
import { fc } from "../support/property.ts";
import { enginesFor } from "../support/redis-engines.ts";
import { restClient } from "../support/upstash-rest.ts";

const TOKEN = "a-token-of-the-test";
const BASE64 = { "upstash-encoding": "base64" };
const base64 = (text: string) => Buffer.from(text).toString("base64");
const unavailable = (name: string) =>
  `ERR Command is not available: '${name}'. See https://upstash.com/docs/redis/overall/rediscompatibility for details`;
const restricted = (name: string) =>
  `ERR Command "${name}" is not allowed in REST or it has a special context path`;

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

describe.each(await enginesFor("the Upstash REST contract"))("Upstash REST gateway on %s", (engine) => {
  let backend: RedisBackend;
  let gateway: UpstashGateway;
  let rest: ReturnType<typeof restClient>;
  let key: string;

  beforeAll(async () => {
    backend = await startRedisBackend({ engine });
    gateway = await startUpstash({ backend, token: TOKEN });
    rest = restClient(gateway);
  });
  afterAll(async () => {
    await gateway.close();
    await backend.close();
  });
  beforeEach(() => {
    key = `test:${randomUUID()}`;
  });

  describe("requests", () => {
    test.each([
      ["no", undefined],
      ["another", "Bearer another"],
      ["a prefix of the", `Bearer ${TOKEN.slice(0, -1)}`],
      ["the and more", `Bearer ${TOKEN}x`],
      ["an empty", "Bearer "],
      ["the bare", TOKEN],
    ])("with %s token are refused and run nothing", async (_name, authorization) => {
      const headers = { ...(authorization === undefined ? {} : { authorization }) };
      const body = JSON.stringify(["SET", key, "intruder"]);
      const response = await fetch(gateway.url, { method: "POST", headers, body });
      expect(response.status).toBe(401);
      expect(await response.json()).toEqual({ error: "Unauthorized" });
      expect(await rest.result("EXISTS", key)).toBe(0);
    });

    test.each([
      ["malformed JSON", "/", "{", "ERR failed to parse request: malformed JSON"],
      ["no body", "/", "", "ERR failed to parse request: malformed JSON"],
      ["an object", "/", "{}", "ERR failed to parse request: expected a command as an array"],
      ["an empty command", "/", "[]", "ERR empty command"],
      ["a null argument", "/", '["SET","k",null]', "ERR null args are not supported"],
      ["an object argument", "/", '["SET","k",{}]', "ERR unsupported arg type: object"],
      ["an array argument", "/", '["SET","k",[]]', "ERR unsupported arg type: array"],
      ["an empty name", "/", '[""]', unavailable("")],
      ["a pipeline of nothing", "/pipeline", "[]", "ERR empty pipeline request"],
      [
        "a pipeline of a flat command",
        "/pipeline",
        '["PING"]',
        "ERR failed to parse request: expected a command as an array",
      ],
      [
        "a transaction that is no array",
        "/multi-exec",
        '"x"',
        "ERR failed to parse request: expected an array of commands",
      ],
    ])("with %s get 400", async (_name, path, body, error) => {
      expect(await rest.request({ path, body })).toMatchObject({ status: 400, json: { error } });
    });

    test("may not use other methods", async () => {
      expect(await rest.request({ method: "DELETE", body: ["PING"] })).toMatchObject({ status: 405 });
    });

    test("may carry 10 MiB and no more", async () => {
      const command = (size: number) => `["SET","${key}","${"x".repeat(size - key.length - 13)}"]`;
      const limit = 10 * 1024 * 1024;
      expect(await rest.request({ body: command(limit) })).toMatchObject({ status: 200 });
      const error = `ERR max request size exceeded. Limit: ${limit} bytes, Actual: ${limit + 1} bytes`;
      expect(await rest.request({ body: command(limit + 1) })).toMatchObject({
        status: 400,
        json: { error },
      });
    });

    test("may name the command in the path", async () => {
      const set = await rest.request({
        path: `/set/${encodeURIComponent(`${key}/é`)}?EX=100`,
        body: "a value",
      });
      expect(set.json).toEqual({ result: "OK" });
      const get = await rest.request({ method: "GET", path: `/get/${encodeURIComponent(`${key}/é`)}` });
      expect(get.json).toEqual({ result: "a value" });
      expect(await rest.result("TTL", `${key}/é`)).toBe(100);
      expect(await rest.request({ method: "GET", path: "/get/%E0%A4%A" })).toMatchObject({ status: 400 });
    });

    test("are answered with a sync token that moves on", async () => {
      const tokens = [await rest.command("PING"), await rest.command("PING")].map((answer) =>
        Number(answer.headers.get("upstash-sync-token")),
      );
      expect(tokens[1]).toBeGreaterThan(tokens[0]!);
    });

    test("are counted, with the bytes of their sockets", async () => {
      const before = gateway.requests();
      await rest.command("SET", key, "x".repeat(10_000));
      await rest.pipeline([
        ["GET", key],
        ["GET", key],
      ]);
      const after = gateway.requests();
      expect(after.count - before.count).toBe(2);
      expect(after.bytesIn - before.bytesIn).toBeGreaterThan(10_000);
      expect(after.bytesIn - before.bytesIn).toBeLessThan(12_000);
      expect(after.bytesOut - before.bytesOut).toBeGreaterThan(20_000);
      expect(after.bytesOut - before.bytesOut).toBeLessThan(22_000);
    });
  });

  describe("replies", () => {
    test("nil, integers, strings and flat arrays", async () => {
      expect((await rest.command("GET", key)).text).toBe('{"result":null}');
      expect((await rest.command("INCR", key)).text).toBe('{"result":1}');
      expect((await rest.command("GET", key)).text).toBe('{"result":"1"}');
      await rest.command("HSET", `${key}:hash`, "a", "1", "b", "2");
      expect((await rest.command("HGETALL", `${key}:hash`)).json).toEqual({ result: ["a", "1", "b", "2"] });
      expect((await rest.command("HGETALL", `${key}:none`)).json).toEqual({ result: [] });
      expect((await rest.command("HMGET", `${key}:hash`, "a", "z")).json).toEqual({ result: ["1", null] });
      await rest.command("ZADD", `${key}:zset`, 1.5, "m");
      expect((await rest.command("ZRANGE", `${key}:zset`, 0, -1, "WITHSCORES")).json).toEqual({
        result: ["m", "1.5"],
      });
    });

    test("base64 reaches strings at every depth, but not the plain OK nor errors", async () => {
      const nested = "return {'a', {'b', {'OK'}, 7}, false}";
      const { json } = await rest.pipeline(
        [["SET", key, "é"], ["GET", key], ["PING"], ["EVAL", nested, 0], ["HGET", key, "f"]],
        BASE64,
      );
      expect(json).toEqual([
        { result: "OK" },
        { result: base64("é") },
        { result: base64("PONG") },
        { result: [base64("a"), [base64("b"), [base64("OK")], 7], null] },
        { error: "WRONGTYPE Operation against a key holding the wrong kind of value" },
      ]);
    });

    test("bytes that are not UTF-8 survive in base64 and are replaced in text", async () => {
      await rest.command("SETBIT", key, 0, 1);
      expect((await rest.request({ body: ["GET", key], headers: BASE64 })).json).toEqual({ result: "gA==" });
      expect(await rest.result("GET", key)).toBe("\uFFFD");
    });

    test("any text comes back as it was sent", async () => {
      const text = fc.string({ unit: "binary", maxLength: 200 });
      await fc.assert(
        fc.asyncProperty(text, async (value) => {
          const path = "/pipeline";
          const commands = [
            ["SET", key, value],
            ["GET", key],
          ];
          const [, plain] = (await rest.pipeline(commands)).json as { result: string }[];
          const [, encoded] = (await rest.request({ path, body: commands, headers: BASE64 })).json as {
            result: string;
          }[];
          expect(plain?.result).toBe(value);
          expect(Buffer.from(encoded!.result, "base64").toString()).toBe(value);
        }),
        { numRuns: 50 },
      );
    });

    test("integers keep all 64 bits, both ways", async () => {
      await rest.request({ body: `["SET","${key}",9007199254740992]` });
      expect((await rest.command("INCR", key)).text).toBe('{"result":9007199254740993}');
      await fc.assert(
        fc.asyncProperty(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), async (value) => {
          const { text } = await rest.request({
            path: "/multi-exec",
            body: `[["SET","${key}",${value}],["INCRBY","${key}",0]]`,
          });
          expect(text).toBe(`[{"result":"OK"},{"result":${value}}]`);
        }),
        { numRuns: 50 },
      );
    });

    test("numbers and booleans are stored as they are written in JSON", async () => {
      await rest.request({ body: `["RPUSH","${key}",1.50,-0,1e3,true]` });
      expect(await rest.result("LRANGE", key, 0, -1)).toEqual(["1.50", "-0", "1e3", "true"]);
    });
  });

  describe("errors", () => {
    test("of a command have status 400 and Redis's text", async () => {
      await rest.command("SET", key, "text");
      const error = async (...command: unknown[]) => {
        const { status, json } = await rest.command(...command);
        return { status, ...(json as object) };
      };
      expect(await error("HGET", key, "f")).toEqual({
        status: 400,
        error: "WRONGTYPE Operation against a key holding the wrong kind of value",
      });
      expect(await error("get")).toEqual({
        status: 400,
        error: "ERR wrong number of arguments for 'get' command",
      });
      expect(await error("INCR", key)).toEqual({
        status: 400,
        error: "ERR value is not an integer or out of range",
      });
      expect(await error("SET", key, "v", "BOGUS")).toEqual({ status: 400, error: "ERR syntax error" });
      expect(await error("nope", "x")).toEqual({ status: 400, error: unavailable("NOPE") });
    });

    test.each([
      ...["SELECT 1", "MULTI", "EXEC", "DISCARD", "WATCH k", "AUTH p", "HELLO 3", "RESET", "QUIT", "MONITOR"],
      ...[
        "CLIENT REPLY OFF",
        "SUBSCRIBE c",
        "PSUBSCRIBE c",
        "SSUBSCRIBE c",
        "UNSUBSCRIBE c",
        "multi",
        "Select 1",
      ],
    ])("%s would change the shared connection and is refused", async (line) => {
      const command = line.split(" ");
      const error = restricted(command[0]!.toUpperCase());
      expect(await rest.command(...command)).toMatchObject({ status: 400, json: { error } });
      expect((await rest.pipeline([command, ["PING", "ok"]])).json).toEqual([{ error }, { result: "ok" }]);
      expect(await rest.transaction([["SET", key, "1"], command])).toMatchObject({
        status: 400,
        json: { error },
      });
      expect(await rest.result("EXISTS", key)).toBe(0);
    });

    test.each([
      ...[
        "SHUTDOWN NOSAVE",
        "DEBUG SLEEP 5",
        "CONFIG GET *",
        "REPLICAOF NO ONE",
        "BLPOP k 0",
        "brpop k 0",
        "WAIT 1 0",
      ],
      ...[
        "BLMOVE a b LEFT LEFT 0",
        "BZPOPMIN k 0",
        "XREAD BLOCK 0 STREAMS s $",
        "xreadgroup GROUP g c block 0 streams s >",
      ],
    ])("%s would stop or block the server and is refused", async (line) => {
      const command = line.split(" ");
      const error = unavailable(command[0]!.toUpperCase());
      expect(await rest.command(...command)).toMatchObject({ status: 400, json: { error } });
    });

    test("XREAD may read, also a stream whose name is BLOCK", async () => {
      await rest.command("XADD", "BLOCK", "1-1", "f", "v");
      const expected = [["BLOCK", [["1-1", ["f", "v"]]]]];
      expect(await rest.result("XREAD", "COUNT", 1, "STREAMS", "BLOCK", "0")).toEqual(expected);
    });
  });

  describe("pipelines", () => {
    test("report an error in its place and run the rest in order", async () => {
      const { status, json } = await rest.pipeline([
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
      const { status, json } = await rest.pipeline([
        ["SET", key, "1"],
        ["SET", key, null],
      ]);
      expect({ status, json }).toEqual({ status: 400, json: { error: "ERR null args are not supported" } });
      expect(await rest.result("EXISTS", key)).toBe(0);
    });
  });

  describe("transactions", () => {
    test("are isolated from rivals on other connections", async () => {
      const counter = key;
      const size = 30;
      // Padding makes each transaction arrive in many reads, between which the rivals get their turns.
      const pad = ["SET", `${key}:pad`, "x".repeat(30_000)];
      const commands = Array.from({ length: size }, () => [pad, ["INCR", counter]]).flat();
      const stopRivals = hammer(backend.redisUrl, counter);
      try {
        for (let round = 0; round < 10; round += 1) {
          const { status, json } = await rest.transaction(commands);
          const counts = (json as { result: unknown }[])
            .map(({ result }) => result)
            .filter((result) => result !== "OK");
          expect(status).toBe(200);
          expect(counts).toEqual(Array.from({ length: size }, (_, index) => Number(counts[0]) + index));
        }
      } finally {
        await stopRivals();
      }
      expect(Number(await rest.result("GET", counter))).toBeGreaterThan(10 * size);
    });

    test("interleave with other requests of the gateway as wholes", async () => {
      const increments = Array.from({ length: 20 }, () => ["INCR", key]);
      const answers = await Promise.all(
        Array.from({ length: 50 }, (_, index) =>
          index % 2 === 0 ? rest.transaction(increments) : rest.command("INCR", key),
        ),
      );
      for (const { json } of answers.filter((_, index) => index % 2 === 0)) {
        const counts = (json as { result: number }[]).map(({ result }) => result);
        expect(counts).toEqual(counts.map((_, index) => counts[0]! + index));
      }
      expect(await rest.result("GET", key)).toBe(String(25 * 20 + 25));
    });

    test("that Redis will not queue are discarded whole, with status 400", async () => {
      for (const [command, error] of [
        [["GET"], "ERR wrong number of arguments for 'get' command"],
        [["NOPE"], unavailable("NOPE")],
      ] as const) {
        const { status, json } = await rest.transaction([["SET", key, "1"], [...command], ["SET", key, "2"]]);
        expect({ status, json }).toEqual({ status: 400, json: { error } });
        expect(await rest.result("EXISTS", key)).toBe(0);
      }
    });

    test("run to the end past an error at execution", async () => {
      const { status, json } = await rest.transaction([
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
      const rivals = Array.from({ length: 100 }, (_, id) =>
        rest.result("set", key, `rival-${id}`, "nx", "px", 60_000),
      );
      const results = await Promise.all(rivals);
      expect(results.filter((result) => result === "OK")).toHaveLength(1);
      expect(results.filter((result) => result === null)).toHaveLength(99);
      expect(await rest.result("GET", key)).toBe(`rival-${results.indexOf("OK")}`);
    });

    test("keys expire, and GETEX slides the expiry", async () => {
      await rest.command("SET", key, "v", "PX", 80);
      await rest.command("SET", `${key}:slid`, "v", "PX", 80);
      expect(await rest.result("GETEX", `${key}:slid`, "PX", 60_000)).toBe("v");
      expect(await rest.result("PTTL", key)).toBeLessThanOrEqual(80);
      await delay(120);
      expect(await rest.result("MGET", key, `${key}:slid`)).toEqual([null, "v"]);
      expect(await rest.result("TTL", key)).toBe(-2);
      expect(await rest.result("TTL", `${key}:slid`)).toBeGreaterThan(50);
    });
  });
});
