import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { runNode } from "../support/process.ts";
import { ROOT, WORK } from "../support/sst/sst.ts";

test("sst.config.ts and infra/ have the types of SST's genuine platform", async () => {
  const tsc = join(ROOT, "node_modules", "typescript", "bin", "tsc");
  const { code, stdout } = await runNode([tsc, "-p", "infra"], { cwd: ROOT });
  expect(stdout).toBe("");
  expect(code).toBe(0);
});

test("sst-env.d.ts is the one that SST writes for this configuration", async () => {
  const [committed, written] = await Promise.all(
    [join(ROOT, "sst-env.d.ts"), join(WORK, "production", "sst-env.d.ts")].map((file) =>
      readFile(file, "utf8"),
    ),
  );
  expect(committed, "copy .local/infra/production/sst-env.d.ts over it").toBe(written);
});
