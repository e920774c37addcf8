import { Config } from "@parley/core/config";
import { isAppError } from "@parley/core/error";
import { describe, expect, test } from "vitest";

const DIGEST = "0123456789abcdef".repeat(4);
const OTHER = "f".repeat(64);

/** What the settings' reader says; undefined when it takes them. */
function complaint(read: () => unknown): string | undefined {
  try {
    read();
    return undefined;
  } catch (error) {
    if (!isAppError(error, "failed_precondition")) throw error;
    return error.message;
  }
}

describe("API_KEYS", () => {
  const keys = (API_KEYS: string | undefined) =>
    new Config({ API_KEYS }).apiKeys.map(({ id, sha256 }) => [id, sha256.toString("hex")]);

  test("are pairs of id and digest, several of one id for rotation", () => {
    expect(keys(`ada:${DIGEST}`)).toEqual([["ada", DIGEST]]);
    expect(keys(` ada:${DIGEST} ,\n ada:${OTHER}, bob.b_c-1:${DIGEST.toUpperCase()}`)).toEqual([
      ["ada", DIGEST],
      ["ada", OTHER],
      ["bob.b_c-1", DIGEST],
    ]);
    expect(keys(`${"x".repeat(64)}:${DIGEST}`)).toHaveLength(1);
  });

  test.each([undefined, ""])("%j is a refusal", (value) => {
    const message = complaint(() => keys(value));
    expect(message).toContain("API_KEYS: is not set");
    // A `.env` has empty lines; who has no line at all is told what to do.
    if (value === undefined) expect(message).toContain("AUTH_MODE=none");
  });

  test.each([
    "s3cret",
    `s3cret:${DIGEST.slice(1)}`,
    `s3cret:${DIGEST}0`,
    `s3cret:${"g".repeat(64)}`,
    `s3cret${"x".repeat(60)}:${DIGEST}`,
    `s3c ret:${DIGEST}`,
    `s3crét:${DIGEST}`,
    `:${DIGEST}`,
    `s3cret::${DIGEST}`,
    `ada:${DIGEST},s3cret`,
    `ada:${DIGEST},`,
    `ada:${DIGEST};bob:${OTHER}`,
    "s3cret:pk_a-secret-in-the-place-of-its-digest",
    " ",
  ])("%j is refused by name, and not shown", (value) => {
    const message = complaint(() => keys(value));
    expect(message).toContain("API_KEYS");
    for (const part of ["s3c", "pk_", DIGEST.slice(0, 16), "gggg"]) expect(message).not.toContain(part);
  });
});

describe("AUTH_MODE", () => {
  test("is none only when it says so", () => {
    expect(new Config({ AUTH_MODE: "none" }).authMode).toBe("none");
    for (const value of [undefined, ""]) expect(new Config({ AUTH_MODE: value }).authMode).toBeUndefined();
  });

  test.each(["None", "off", "false", " none", "s3cret"])("%j is refused", (value) => {
    const message = complaint(() => new Config({ AUTH_MODE: value }).authMode);
    expect(message).toContain("AUTH_MODE");
    expect(message).not.toContain("s3cret");
  });
});

describe("CORS_ORIGINS", () => {
  const origins = (CORS_ORIGINS: string | undefined) => new Config({ CORS_ORIGINS }).corsOrigins;

  test("is a list of origins, empty by default", () => {
    for (const value of [undefined, "", " ", ",", " , "]) expect(origins(value)).toEqual([]);
    expect(origins("https://a.example")).toEqual(["https://a.example"]);
    expect(origins(" https://a.example , http://localhost:3000,")).toEqual([
      "https://a.example",
      "http://localhost:3000",
    ]);
  });
});

describe("the rate limit", () => {
  const limit = (env: Record<string, string>) => new Config(env).rateLimit;

  test("is 10 a second and a burst of 20 unless it is set", () => {
    expect(limit({})).toEqual({ perSecond: 10, burst: 20 });
    expect(limit({ API_RATE_LIMIT_RPS: "", API_RATE_LIMIT_BURST: "" })).toEqual({ perSecond: 10, burst: 20 });
    expect(limit({ API_RATE_LIMIT_RPS: "1", API_RATE_LIMIT_BURST: "500" })).toEqual({
      perSecond: 1,
      burst: 500,
    });
  });

  test.each(["0", "-7", "7.5", "7 a second", "NaN", "Infinity", "1e99", "7,5"])(
    "%j is refused by name",
    (value) => {
      for (const name of ["API_RATE_LIMIT_RPS", "API_RATE_LIMIT_BURST"]) {
        const message = complaint(() => limit({ [name]: value }));
        expect(message).toContain(`${name}: `);
        expect(message).not.toMatch(/second|-7|7[.,]5|1e99/);
      }
    },
  );

  test("every wrong setting is named at once", () => {
    const message = complaint(() => limit({ API_RATE_LIMIT_RPS: "x", API_RATE_LIMIT_BURST: "y" }));
    expect(message).toContain("API_RATE_LIMIT_RPS");
    expect(message).toContain("API_RATE_LIMIT_BURST");
  });
});
