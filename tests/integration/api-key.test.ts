import { createHash } from "node:crypto";
import { fileURLToPath } from "node:url";
import { Config } from "@parley/core/config";
import { expect, test } from "vitest";
import { runNode } from "../support/process.ts";

const SCRIPT = fileURLToPath(new URL("../../scripts/api-key.ts", import.meta.url));
const make = (...args: string[]) => runNode([SCRIPT, ...args]);

test.each(["ada", "Team_1.prod-eu", "x".repeat(64)])(
  "a key for %s is one that API_KEYS takes",
  async (id) => {
    const made = await Promise.all([make(id), make(id)]);
    const secrets = made.map(({ code, stdout, stderr }) => {
      expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
      const [first = "", second = ""] = stdout.trimEnd().split("\n");
      const [secret = "", entry = ""] = [first, second].map((line) => line.split(/\s+/).at(-1) ?? "");
      expect(secret).toMatch(/^pk_[\w-]{43}$/);
      expect(new Config({ API_KEYS: entry }).apiKeys).toEqual([
        { id, sha256: createHash("sha256").update(secret).digest() },
      ]);
      // What is kept must not lead back to what the client sends.
      expect(entry).not.toContain(secret);
      return secret;
    });
    expect(new Set(secrets).size).toBe(2);
  },
);

test("two keys of one id work side by side", async () => {
  const entries = (await Promise.all([make("ada"), make("ada")])).map(({ stdout }) =>
    stdout.trim().split(/\s+/).at(-1),
  );
  expect(new Config({ API_KEYS: entries.join(",") }).apiKeys.map(({ id }) => id)).toEqual(["ada", "ada"]);
});

test.each<{ args: string[] }>([
  { args: [] },
  { args: [""] },
  { args: ["a b"] },
  { args: ["a:b"] },
  { args: ["a,b"] },
  { args: ["é"] },
  { args: ["a\n"] },
  { args: ["x".repeat(65)] },
  { args: ["ada", "bob"] },
  { args: ["--secret", "mine"] },
  { args: ["-x"] },
])("$args is refused with how to use it", async ({ args }) => {
  const { code, stdout, stderr } = await make(...args);
  expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
  expect(stderr).toMatch(/^npm run api-key -- <id>\n/);
  expect(stderr).not.toMatch(/\n\s+at /);
});

test("--help says how to use it", async () => {
  for (const flag of ["--help", "-h"]) {
    const { code, stdout, stderr } = await make(flag);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout).toMatch(/^npm run api-key -- <id>\n/);
  }
});
