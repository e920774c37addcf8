import { execFile } from "node:child_process";
import { readFile, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { Conversations } from "@parley/core/conversation/conversations";
import { afterAll, beforeAll, expect, test } from "vitest";
import { calling } from "../support/assistant.ts";
import { copyCore } from "../support/core-copy.ts";
import { OWNER, type Rig, startRig } from "../support/rig.ts";

type Core = typeof import("@parley/core/assistant/assistant") &
  typeof import("@parley/core/assistant/tool-runner");

let rig: Rig;
let copy: Awaited<ReturnType<typeof copyCore>>;
beforeAll(async () => {
  [rig, copy] = await Promise.all([startRig({ engine: "embedded" }), copyCore()]);
  const { path, file, line } = await fromReadme();
  await copy.addFile(path, file);
  await copy.addLine("tools/index.ts", line);
});
afterAll(() => Promise.all([rig.close(), copy.remove()]));

/** The new file and the new line as the README shows them. */
async function fromReadme(): Promise<{ path: string; file: string; line: string }> {
  const readme = await readFile(new URL("../../README.md", import.meta.url), "utf8");
  const section = /^## Add a tool\n(.*?)(?=^## )/ms.exec(readme)?.[1] ?? "";
  const [file, line, ...more] = [...section.matchAll(/^```ts\n(.*?)^```/gms)].map(([, block]) => block!);
  const path = /`packages\/core\/src\/(tools\/(?!index\.ts)[\w-]+\.ts)`/.exec(section)?.[1];
  expect(more).toEqual([]);
  expect(line?.trim().split("\n")).toHaveLength(1);
  return { path: path!, file: file!, line: line!.trim() };
}

test("a tool is one new file and one new line, as the README shows: it runs in a turn", async () => {
  const tools = await copy.import("tools/index.ts");
  const modules = ["assistant", "tool-runner"].map((name) => copy.import(`assistant/${name}.ts`));
  const core: Core = Object.assign({}, ...(await Promise.all(modules)));

  const { models, telemetry, weather, holidays, ...worker } = rig.worker();
  const runner = new core.ToolRunner({
    tools: Object.values(tools as typeof import("@parley/core/tools/index")).map((create) =>
      create({ clock: rig.clock, weather, holidays }),
    ),
    timeoutMs: 5_000,
    telemetry,
  });
  const assistant = new core.Assistant({
    models,
    tools: runner,
    maxContextTokens: 4_000,
    telemetry,
  });
  const conversations = new Conversations({
    ...worker,
    assistant,
    historyTurns: 40,
    clock: rig.clock,
    telemetry,
  });

  const [added] = runner.definitions.filter(({ name }) => !name.startsWith("get_"));
  rig.model.script([
    calling({ name: added!.name, args: { count: 3, sides: null } }),
    ({ messages }) => `You rolled ${messages.at(-1)?.text}.`,
  ]);
  const { reply } = await conversations.start({
    owner: OWNER,
    message: "Roll three dice",
    deadline: rig.deadline(),
  });

  const sum = Number(/^You rolled (\d+)\.$/.exec(reply.text)?.[1]);
  expect(sum).toBeGreaterThanOrEqual(3);
  expect(sum).toBeLessThanOrEqual(18);
  expect(reply.steps).toMatchObject([
    { type: "tool_call", name: added!.name },
    { type: "tool_result", content: String(sum) },
  ]);
  expect(runner.definitions.map(({ name }) => name)).toEqual([
    "get_holidays",
    "get_today_date",
    "get_weather",
    added!.name,
  ]);
});

test("and the compiler is content with it", { timeout: 60_000 }, async () => {
  const config = { extends: "../../tsconfig.json", include: ["src"] };
  await writeFile(join(copy.folder, "tsconfig.json"), JSON.stringify(config));
  const compiler = join(
    dirname(createRequire(import.meta.url).resolve("typescript/package.json")),
    "bin/tsc",
  );
  const checked = promisify(execFile)(process.execPath, [compiler, "--noEmit", "-p", copy.folder]);
  const complaints = checked.then(
    () => "",
    (error: Error & { stdout: string }) => error.stdout || error.message,
  );
  expect(await complaints).toBe("");
});
