import { describe, expect, test } from "vitest";
import { fc } from "../support/property.ts";
import { enginesFor } from "../support/redis-engines.ts";
import { restricted, unavailable, upstashSuite } from "../support/upstash-suite.ts";

const BASE64 = { "upstash-encoding": "base64" };
const base64 = (text: string) => Buffer.from(text).toString("base64");

describe.each(await enginesFor("the Upstash REST contract"))("Upstash REST gateway on %s", (engine) => {
  const suite = upstashSuite(engine);

  describe("requests", () => {
    test.each([
      ["no", () => undefined],
      ["another", () => "Bearer another"],
      ["a prefix of the", (token: string) => `Bearer ${token.slice(0, -1)}`],
      ["the and more", (token: string) => `Bearer ${token}x`],
      ["an empty", () => "Bearer "],
      ["the bare", (token: string) => token],
    ])("with %s token are refused and run nothing", async (_name, authorize) => {
      const { key } = suite;
      const authorization = authorize(suite.gateway.token);
      const headers = { ...(authorization === undefined ? {} : { authorization }) };
      const body = JSON.stringify(["SET", key, "intruder"]);
      const response = await fetch(suite.gateway.url, { method: "POST", headers, body });
      expect(response.status).toBe(401);
      expect(await response.json()).toEqual({ error: "WRONGPASS invalid or missing auth token" });
      expect(await suite.rest.result("EXISTS", key)).toBe(0);
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
      expect(await suite.rest.request({ path, body })).toMatchObject({ status: 400, json: { error } });
    });

    test("may not use other methods", async () => {
      expect(await suite.rest.request({ method: "DELETE", body: ["PING"] })).toMatchObject({ status: 405 });
    });

    test("may carry 10 MiB and no more", async () => {
      const { key } = suite;
      const command = (size: number) => `["SET","${key}","${"x".repeat(size - key.length - 13)}"]`;
      const limit = 10 * 1024 * 1024;
      expect(await suite.rest.request({ body: command(limit) })).toMatchObject({ status: 200 });
      const error = `ERR max request size exceeded. Limit: ${limit} bytes, Actual: ${limit + 1} bytes`;
      expect(await suite.rest.request({ body: command(limit + 1) })).toMatchObject({
        status: 400,
        json: { error },
      });
    });

    test("may name the command in the path", async () => {
      const { key } = suite;
      const set = await suite.rest.request({
        path: `/set/${encodeURIComponent(`${key}/é`)}?EX=100`,
        body: "a value",
      });
      expect(set.json).toEqual({ result: "OK" });
      const get = await suite.rest.request({ method: "GET", path: `/get/${encodeURIComponent(`${key}/é`)}` });
      expect(get.json).toEqual({ result: "a value" });
      expect(await suite.rest.result("TTL", `${key}/é`)).toBe(100);
      expect(await suite.rest.request({ method: "GET", path: "/get/%E0%A4%A" })).toMatchObject({
        status: 400,
      });
    });

    test("are answered with a sync token that moves on", async () => {
      const tokens = [await suite.rest.command("PING"), await suite.rest.command("PING")].map((answer) =>
        Number(answer.headers.get("upstash-sync-token")),
      );
      expect(tokens[1]).toBeGreaterThan(tokens[0]!);
    });

    test("are counted, with the bytes of their sockets", async () => {
      const { key } = suite;
      const before = suite.gateway.requests();
      await suite.rest.command("SET", key, "x".repeat(10_000));
      await suite.rest.pipeline([
        ["GET", key],
        ["GET", key],
      ]);
      const after = suite.gateway.requests();
      expect(after.count - before.count).toBe(2);
      expect(after.bytesIn - before.bytesIn).toBeGreaterThan(10_000);
      expect(after.bytesIn - before.bytesIn).toBeLessThan(12_000);
      expect(after.bytesOut - before.bytesOut).toBeGreaterThan(20_000);
      expect(after.bytesOut - before.bytesOut).toBeLessThan(22_000);
    });
  });

  describe("replies", () => {
    test("nil, integers, strings and flat arrays", async () => {
      const { key } = suite;
      expect((await suite.rest.command("GET", key)).text).toBe('{"result":null}');
      expect((await suite.rest.command("INCR", key)).text).toBe('{"result":1}');
      expect((await suite.rest.command("GET", key)).text).toBe('{"result":"1"}');
      await suite.rest.command("HSET", `${key}:hash`, "a", "1", "b", "2");
      expect((await suite.rest.command("HGETALL", `${key}:hash`)).json).toEqual({
        result: ["a", "1", "b", "2"],
      });
      expect((await suite.rest.command("HGETALL", `${key}:none`)).json).toEqual({ result: [] });
      expect((await suite.rest.command("HMGET", `${key}:hash`, "a", "z")).json).toEqual({
        result: ["1", null],
      });
      await suite.rest.command("ZADD", `${key}:zset`, 1.5, "m");
      expect((await suite.rest.command("ZRANGE", `${key}:zset`, 0, -1, "WITHSCORES")).json).toEqual({
        result: ["m", "1.5"],
      });
    });

    test("base64 reaches strings at every depth, but not the plain OK nor errors", async () => {
      const { key } = suite;
      const nested = "return {'a', {'b', {'OK'}, 7}, false}";
      const { json } = await suite.rest.pipeline(
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
      const { key } = suite;
      await suite.rest.command("SETBIT", key, 0, 1);
      expect((await suite.rest.request({ body: ["GET", key], headers: BASE64 })).json).toEqual({
        result: "gA==",
      });
      expect(await suite.rest.result("GET", key)).toBe("\uFFFD");
    });

    test("any text comes back as it was sent", async () => {
      const { key } = suite;
      const text = fc.string({ unit: "binary", maxLength: 200 });
      await fc.assert(
        fc.asyncProperty(text, async (value) => {
          const path = "/pipeline";
          const commands = [
            ["SET", key, value],
            ["GET", key],
          ];
          const [, plain] = (await suite.rest.pipeline(commands)).json as { result: string }[];
          const [, encoded] = (await suite.rest.request({ path, body: commands, headers: BASE64 })).json as {
            result: string;
          }[];
          expect(plain?.result).toBe(value);
          expect(Buffer.from(encoded!.result, "base64").toString()).toBe(value);
        }),
        { numRuns: 50 },
      );
    });

    test("integers keep all 64 bits, both ways", async () => {
      const { key } = suite;
      await suite.rest.request({ body: `["SET","${key}",9007199254740992]` });
      expect((await suite.rest.command("INCR", key)).text).toBe('{"result":9007199254740993}');
      await fc.assert(
        fc.asyncProperty(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), async (value) => {
          const { text } = await suite.rest.request({
            path: "/multi-exec",
            body: `[["SET","${key}",${value}],["INCRBY","${key}",0]]`,
          });
          expect(text).toBe(`[{"result":"OK"},{"result":${value}}]`);
        }),
        { numRuns: 50 },
      );
    });

    test("numbers and booleans are stored as they are written in JSON", async () => {
      const { key } = suite;
      await suite.rest.request({ body: `["RPUSH","${key}",1.50,-0,1e3,true]` });
      expect(await suite.rest.result("LRANGE", key, 0, -1)).toEqual(["1.50", "-0", "1e3", "true"]);
    });
  });

  describe("errors", () => {
    test("of a command have status 400 and Redis's text", async () => {
      const { key } = suite;
      await suite.rest.command("SET", key, "text");
      const error = async (...command: unknown[]) => {
        const { status, json } = await suite.rest.command(...command);
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
      const { key } = suite;
      const command = line.split(" ");
      const error = restricted(command[0]!.toUpperCase());
      expect(await suite.rest.command(...command)).toMatchObject({ status: 400, json: { error } });
      expect((await suite.rest.pipeline([command, ["PING", "ok"]])).json).toEqual([
        { error },
        { result: "ok" },
      ]);
      expect(await suite.rest.transaction([["SET", key, "1"], command])).toMatchObject({
        status: 400,
        json: { error },
      });
      expect(await suite.rest.result("EXISTS", key)).toBe(0);
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
      expect(await suite.rest.command(...command)).toMatchObject({ status: 400, json: { error } });
    });

    test("XREAD may read, also a stream whose name is BLOCK", async () => {
      await suite.rest.command("XADD", "BLOCK", "1-1", "f", "v");
      const expected = [["BLOCK", [["1-1", ["f", "v"]]]]];
      expect(await suite.rest.result("XREAD", "COUNT", 1, "STREAMS", "BLOCK", "0")).toEqual(expected);
    });
  });
});
