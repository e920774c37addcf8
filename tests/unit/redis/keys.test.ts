import { joinKey, sha256 } from "@parley/core/redis/keys";
import { expect, test } from "vitest";
import { fc } from "../../support/property.ts";

test("SHA-256 of UTF-8, in lower-case hex", () => {
  expect(sha256("")).toBe("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  expect(sha256("München")).toBe("c075b9c24a3d0f0cdad3e99683ed2514981e4ff40c6c0056de53e5e56e052227");
});

const part = fc.string({ unit: "grapheme" });

test("two lists of parts make one key only when they are the same list", async () => {
  await fc.assert(
    fc.property(fc.array(part, { minLength: 1 }), fc.array(part, { minLength: 1 }), (one, other) => {
      expect(joinKey(...one) === joinKey(...other)).toBe(JSON.stringify(one) === JSON.stringify(other));
    }),
    {
      examples: [
        [["a:b"], ["a", "b"]],
        [["a%3Ab"], ["a:b"]],
        [["", ""], [""]],
        [["a", ""], ["a"]],
      ],
    },
  );
});
