import { execFile } from "node:child_process";
import { cp, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const run = promisify(execFile);

let folder: string;

/** A copy whose packages find each other, and not the originals. */
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "parley-metrics-"));
  for (const part of ["packages/core/src", "packages/functions/src", "infra"]) {
    await cp(join(ROOT, part), join(folder, part), { recursive: true });
  }
  await symlink(join(ROOT, "node_modules"), join(folder, "node_modules"));
  const { compilerOptions } = JSON.parse(await readFile(join(ROOT, "tsconfig.json"), "utf8"));
  const paths = {
    "@parley/core/*": ["./packages/core/src/*.ts"],
    "@parley/functions/*": ["./packages/functions/src/*.ts"],
  };
  const config = {
    compilerOptions: { ...compilerOptions, paths },
    include: ["packages/*/src/**/*.ts", "infra/alarms.ts", "infra/dashboard.ts"],
  };
  await writeFile(join(folder, "package.json"), '{ "type": "module" }');
  await writeFile(join(folder, "tsconfig.json"), JSON.stringify(config));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** The files in which the compiler finds an error. */
async function wrongFiles(): Promise<string[]> {
  const tsc = join(ROOT, "node_modules/.bin/tsc");
  const { stdout } = await run(tsc, ["-p", folder, "--pretty", "false"], { cwd: folder }).catch(
    (error: { stdout: string }) => error,
  );
  return [
    ...new Set([...stdout.matchAll(/^(\S+?)\(\d+,\d+\): error/gm)].map(([, file = ""]) => file)),
  ].sort();
}

async function changing<T>(file: string, from: string, to: string, work: () => Promise<T>): Promise<T> {
  const path = join(folder, file);
  const text = await readFile(path, "utf8");
  expect(text).toContain(from);
  await writeFile(path, text.replaceAll(from, to));
  return work().finally(() => writeFile(path, text));
}

test("as it is, it compiles", async () => {
  expect(await wrongFiles()).toEqual([]);
});

test.each([
  ["packages/functions/src/telegram/worker.ts", '"TelegramDeadLetters"', '"TelegramDeadLetter"'],
  ["packages/core/src/assistant/model-call.ts", "{ model: model.name }", "{ name: model.name }"],
  ["packages/core/src/conversation/conversations.ts", '"stopped" : "failed"', '"halted" : "failed"'],
  ["infra/alarms.ts", '"CircuitOpened"', '"CircuitOpen"'],
  ["infra/dashboard-services.ts", "{ cache }", "{ name: cache }"],
])("a metric or dimension renamed in %s alone does not", async (file, from, to) => {
  expect(await changing(file, from, to, wrongFiles)).toEqual([file]);
});

test("nor one renamed in the list alone: whatever counts or shows it is named", async () => {
  const found = await changing(
    "packages/core/src/metrics.ts",
    "TelegramDeadLetters",
    "TelegramLettersDead",
    wrongFiles,
  );
  expect(found).toEqual([
    "infra/alarms.ts",
    "infra/dashboard-services.ts",
    "packages/functions/src/telegram/worker.ts",
  ]);
});
