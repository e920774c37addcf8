import { join } from "node:path";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { runNode } from "../support/process.ts";
import { copyProject, type Project } from "../support/sst/project.ts";
import { ROOT } from "../support/sst/sst.ts";

// The compiler takes seconds, and more of them on a busy machine.
vi.setConfig({ testTimeout: 120_000 });

let project: Project;
beforeAll(async () => {
  project = await copyProject();
  const sources = '"packages/*/src/**/*.ts", "tests/**/*.ts", "scripts/**/*.ts", "*.ts"';
  const counted = '"packages/core/src/**/*.ts", "packages/functions/src/**/*.ts"';
  await project.edit("tsconfig.json", sources, `${counted}, "infra/alarms.ts", "infra/dashboard.ts"`);
});
afterAll(() => project?.remove());

/** The files in which the compiler finds an error. */
async function wrongFiles(): Promise<string[]> {
  const tsc = join(ROOT, "node_modules/.bin/tsc");
  const { stdout } = await runNode([tsc, "-p", ".", "--pretty", "false"], { cwd: project.root });
  return [
    ...new Set([...stdout.matchAll(/^(\S+?)\(\d+,\d+\): error/gm)].map(([, file = ""]) => file)),
  ].sort();
}

type Change = [file: string, from: string, to: string];

const RENAMED: Change[] = [
  ["infra/alarms.ts", '"CircuitOpened"', '"CircuitOpen"'],
  ["infra/dashboard-services.ts", '"CacheHits", { cache }', '"CacheHits", { name: cache }'],
  ["packages/core/src/assistant/model-call.ts", "{ model: model.name }", "{ name: model.name }"],
  ["packages/core/src/conversation/turns.ts", '"stopped" : "failed"', '"halted" : "failed"'],
  ["packages/functions/src/telegram/worker.ts", '"TelegramDeadLetters"', '"TelegramDeadLetter"'],
];

/** The files in which the compiler finds an error while others are changed. */
async function wrongFilesWith(changes: Change[]): Promise<string[]> {
  for (const [file, from, to] of changes) await project.edit(file, from, to);
  const wrong = await wrongFiles();
  for (const [file, from, to] of changes) await project.edit(file, to, from);
  return wrong;
}

test("as it is, it compiles", async () => {
  expect(await wrongFiles()).toEqual([]);
});

test("a metric or dimension renamed where it is counted or shown, and nowhere else, does not", async () => {
  expect(await wrongFilesWith(RENAMED)).toEqual(RENAMED.map(([file]) => file));
});

test("nor one renamed in the list alone: whatever counts or shows it is named", async () => {
  const change: Change = ["packages/core/src/metrics.ts", "TelegramDeadLetters", "TelegramLettersDead"];
  expect(await wrongFilesWith([change])).toEqual([
    "infra/alarms.ts",
    "infra/dashboard-services.ts",
    "packages/functions/src/telegram/worker.ts",
  ]);
});
