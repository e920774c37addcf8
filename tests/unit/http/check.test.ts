import { isAppError } from "@parley/core/error";
import type * as z from "@parley/core/schema";
import * as contract from "@parley/functions/api/contract";
import { check } from "@parley/functions/http/check";
import { describe, expect, test } from "vitest";

const KB = 1024;

function problem(schema: z.ZodMiniType, value: unknown) {
  try {
    check(schema, value);
    return undefined;
  } catch (error) {
    if (!isAppError(error, "invalid_argument")) throw error;
    return { msg: error.message, argument: error.meta["argument"] };
  }
}

const start = contract.startConversation.request;

describe("a message", () => {
  test.each(["x", "é", "€", "😀"])("of 16 KB of %s is taken, a byte more is not", (char) => {
    const whole = Math.floor((16 * KB) / Buffer.byteLength(char));
    const message = char
      .repeat(whole)
      .padEnd(whole * char.length + ((16 * KB) % Buffer.byteLength(char)), ".");
    expect(Buffer.byteLength(message)).toBe(16 * KB);
    expect(check(start, { message })).toEqual({ message });
    expect(problem(start, { message: `${message}.` })?.argument).toBe("message");
  });

  test("is measured as it is stored, a lone surrogate as U+FFFD", () => {
    const message = `${"x".repeat(16 * KB - 3)}\ud800`;
    expect(check(start, { message })).toEqual({ message: `${"x".repeat(16 * KB - 3)}\ufffd` });
    expect(problem(start, { message: `${message}x` })?.argument).toBe("message");
  });

  test.each(["", " ", "\n\t", "\u00a0\u2003", "\ufeff"])("%j is blank", (message) => {
    expect(problem(start, { message })).toEqual({ msg: "message: must not be blank", argument: "message" });
  });

  test.each([null, undefined, 1, true, [], {}, ["x"]])("%j is none", (message) => {
    expect(problem(start, { message })?.argument).toBe("message");
  });
});

describe("an error names what is wrong and repeats no value", () => {
  test("each field, the first as argument", () => {
    const given = {
      message: 1,
      session_metadata: { platform: "", user_id: 2, chat_id: "s3cret".repeat(50) },
    };
    const { msg, argument } = problem(start, given) ?? {};
    expect(argument).toBe("message");
    for (const field of [
      "message",
      "session_metadata.platform",
      "session_metadata.user_id",
      "session_metadata.chat_id",
    ]) {
      expect(msg).toContain(`${field}: `);
    }
    expect(msg).not.toContain("s3cret");
  });

  test("what is missing", () => {
    expect(problem(start, {})).toEqual({ msg: "message: is required", argument: "message" });
    expect(problem(start, undefined)?.argument).toBe("body");
    expect(problem(start, [])?.argument).toBe("body");
  });

  test("unknown fields, of which it shows little", () => {
    const many = Object.fromEntries(Array.from({ length: 500 }, (_, i) => [`field${i}`, "s3cret"]));
    const long = problem(start, {
      message: "hi",
      ["x".repeat(60 * KB)]: 1,
      [`e${"\u0301".repeat(20 * KB)}`]: 1,
    });
    expect(problem(start, { message: "hi", ...many })?.msg.length).toBeLessThan(300);
    expect(long?.msg.length).toBeLessThan(300);
    expect(problem(start, { message: "hi", nope: "s3cret" })).toEqual({
      msg: "body: unknown field nope",
      argument: "body",
    });
  });

  test.each(["__proto__", "constructor", "prototype", "toString", "hasOwnProperty"])(
    "%s is unknown like any other",
    (name) => {
      const given: unknown = JSON.parse(`{"message":"hi","${name}":{"polluted":true}}`);
      expect(problem(start, given)?.msg).toBe(`body: unknown field ${name}`);
      const session = { platform: "api", user_id: "a", chat_id: "b" };
      const inside: unknown = JSON.parse(
        JSON.stringify({ message: "hi", session_metadata: session }).replace("}}", `,"${name}":1}}`),
      );
      expect(problem(start, inside)?.argument).toBe("session_metadata");
      expect({}).not.toHaveProperty("polluted");
    },
  );
});

describe("page_size", () => {
  const { request } = contract.listConversations;
  test.each([
    ["1", 1],
    ["100", 100],
    [7, 7],
    ["", 50],
    ["0", 50],
    [0, 50],
    [undefined, 50],
  ])("%j is %d", (given, size) => {
    expect(check(request, { page_size: given })).toMatchObject({ page_size: size });
  });
  test.each(["101", "-1", "1.5", "abc", "NaN", "Infinity", " ", "1,2", [], {}, "1e400"])(
    "%j is refused",
    (given) => {
      expect(problem(request, { page_size: given })?.argument).toBe("page_size");
    },
  );
});
