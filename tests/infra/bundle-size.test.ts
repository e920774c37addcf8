import { spawnSync } from "node:child_process";
import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { beforeAll, describe, expect, test } from "vitest";
import { pascal } from "../../infra/names.ts";
import { ENTRY, functionEntries, sizesOf, startFiles } from "../support/bundle.ts";
import { archiveOf, unpack } from "../support/sst/archives.ts";
import { stageGraph } from "../support/sst/stages.ts";
import { budget, budgets } from "./budgets.ts";

const names = [...functionEntries.keys()];

/** Words that only the package has, to find it in minified code. */
const HEAVY = {
  "OpenAI's client": /X-Stainless-/i,
  "the reader of calendars": /END:VCALENDAR|invalid line \(no token/,
  "Twirp's runtime": /google\.protobuf\.Timestamp/,
  "the parser of Markdown": /CounterClockwiseContourIntegral/,
  "X-Ray's SDK": /AWS_XRAY_DAEMON_ADDRESS/,
  "Telegram's client": /api\.telegram\.org\/file|GrammyError/,
  "the store's client": /DynamoDB_20120810/,
};
type Heavy = keyof typeof HEAVY;

/** What a function ships of that beside X-Ray's SDK; all of it is loaded late, unless named in `atStart`. */
const ANSWERING: readonly Heavy[] = ["OpenAI's client", "the reader of calendars"];
const ships: Readonly<Record<string, { late: readonly Heavy[]; atStart: readonly Heavy[] }>> = {
  "start-conversation": { late: [...ANSWERING, "Twirp's runtime"], atStart: ["the store's client"] },
  "continue-conversation": { late: [...ANSWERING, "Twirp's runtime"], atStart: ["the store's client"] },
  "list-conversations": { late: ["Twirp's runtime"], atStart: ["the store's client"] },
  "describe-conversation": { late: ["Twirp's runtime"], atStart: ["the store's client"] },
  "delete-conversation": { late: [], atStart: ["the store's client"] },
  "export-conversation": { late: [], atStart: ["the store's client"] },
  "telegram-webhook": { late: [], atStart: [] },
  health: { late: ["the store's client"], atStart: [] },
  docs: { late: [], atStart: [] },
  fallback: { late: [], atStart: [] },
  "telegram-worker": {
    late: [...ANSWERING, "the parser of Markdown"],
    atStart: ["the store's client", "Telegram's client"],
  },
};

const graph = stageGraph("production");
const built = new Map<string, string>();
beforeAll(async () => {
  for (const name of names) built.set(name, await unpack(graph, pascal(name)));
});

const folderOf = (name: string) => built.get(name) ?? "";

describe("the budgets", () => {
  test("name every function, and no other", () => {
    expect(Object.keys(budgets).toSorted()).toEqual(names.toSorted());
    expect([...built.keys()].toSorted()).toEqual(names.toSorted());
  });

  test.each(Object.entries(budgets))(
    "of %s are within what a function may weigh, or say why not",
    (_, one) => {
      for (const column of ["zip", "start", "traced", "total"] as const) {
        const isBeyond = one[column] > budget.holds[column];
        expect({ column, beyond: Boolean(one.beyond?.[column]) }).toEqual({ column, beyond: isBeyond });
      }
    },
  );
});

describe.each(names)("%s", (name) => {
  test("keeps its budget, and the budget is near", async () => {
    const { staticBytes, tracedBytes, totalBytes } = await sizesOf(folderOf(name));
    const { size: zipBytes } = await stat(archiveOf(graph, pascal(name)));
    const kilobytes = { zip: zipBytes, start: staticBytes, traced: tracedBytes, total: totalBytes };
    const limits = budgets[name];
    for (const column of ["zip", "start", "traced", "total"] as const) {
      const limit = limits?.[column] ?? 0;
      const size = kilobytes[column] / 1_000;
      expect(size, `${column} in KB`).toBeLessThanOrEqual(limit);
      expect(size, `${column} in KB: lower its budget`).toBeGreaterThan(0.85 * limit);
    }
  });

  test("ships what it uses, and starts without the heavy part of it", async () => {
    const folder = folderOf(name);
    const starting = new Set(await startFiles(folder));
    const found: { late: Heavy[]; atStart: Heavy[] } = { late: [], atStart: [] };
    const files = (await readdir(folder)).filter((file) => file.endsWith(".mjs"));
    const texts = new Map<string, string>();
    for (const file of files) texts.set(file, await readFile(join(folder, file), "utf8"));
    for (const [what, mark] of Object.entries(HEAVY) as [Heavy, RegExp][]) {
      const where = files.filter((file) => mark.test(texts.get(file) ?? ""));
      if (where.some((file) => starting.has(file))) found.atStart.push(what);
      else if (where.length > 0) found.late.push(what);
    }
    const { late = [], atStart = [] } = ships[name] ?? {};
    expect(found.late.toSorted()).toEqual([...late, "X-Ray's SDK"].toSorted());
    expect(found.atStart.toSorted()).toEqual(atStart.toSorted());
  });

  test("has no source maps, and no import that loads undici", async () => {
    const files = await readdir(folderOf(name), { recursive: true });
    expect(files.filter((file) => file.endsWith(".map"))).toEqual([]);
    const { status, stdout, stderr } = spawnSync(
      process.execPath,
      [
        "--input-type=module",
        "-e",
        `const { handler } = await import(${JSON.stringify(pathToFileURL(join(folderOf(name), ENTRY)).href)});
        const undici = process.moduleLoadList.filter((module) => module.includes("undici"));
        console.log(JSON.stringify({ handler: typeof handler, undici }));
        process.exit(0);`,
      ],
      { env: {}, encoding: "utf8" },
    );
    expect(stderr).toBe("");
    expect(status).toBe(0);
    expect(JSON.parse(stdout)).toEqual({ handler: "function", undici: [] });
  });
});
