import { execFile } from "node:child_process";
import { cp, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test, vi } from "vitest";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const run = promisify(execFile);

// The compiler takes seconds, and more of them on a busy machine.
vi.setConfig({ testTimeout: 120_000 });

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

const RENAMED: [file: string, from: string, to: string][] = [
  ["infra/alarms.ts", '"CircuitOpened"', '"CircuitOpen"'],
  ["infra/dashboard-services.ts", "{ cache }", "{ name: cache }"],
  ["packages/core/src/assistant/model-call.ts", "{ model: model.name }", "{ name: model.name }"],
  ["packages/core/src/conversation/turns.ts", '"stopped" : "failed"', '"halted" : "failed"'],
  ["packages/functions/src/telegram/worker.ts", '"TelegramDeadLetters"', '"TelegramDeadLetter"'],
];

/** The files in which the compiler finds an error while others are changed. */
async function wrongFilesWith(changes: typeof RENAMED): Promise<string[]> {
  const texts = await Promise.all(changes.map(([file]) => readFile(join(folder, file), "utf8")));
  for (const [at, [file, from, to]] of changes.entries()) {
    expect(texts[at]).toContain(from);
    await writeFile(join(folder, file), texts[at]?.replaceAll(from, to) ?? "");
  }
  const wrong = await wrongFiles();
  for (const [at, [file]] of changes.entries()) await writeFile(join(folder, file), texts[at] ?? "");
  return wrong;
}

test("as it is, it compiles", async () => {
  expect(await wrongFiles()).toEqual([]);
});

test("a metric or dimension renamed where it is counted or shown, and nowhere else, does not", async () => {
  expect(await wrongFilesWith(RENAMED)).toEqual(RENAMED.map(([file]) => file));
});

test("nor one renamed in the list alone: whatever counts or shows it is named", async () => {
  const change: [string, string, string] = [
    "packages/core/src/metrics.ts",
    "TelegramDeadLetters",
    "TelegramLettersDead",
  ];
  expect(await wrongFilesWith([change])).toEqual([
    "infra/alarms.ts",
    "infra/dashboard-services.ts",
    "packages/functions/src/telegram/worker.ts",
  ]);
});
