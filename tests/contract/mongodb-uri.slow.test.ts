import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { createMongoClient } from "@parley/core/conversation/mongo-client";
import { startMongo } from "@parley/local/mongodb/server";
import { expect, test } from "vitest";
import { removeTemporaryFolders, temporaryFolder } from "../support/parley.ts";
import { runNode } from "../support/process.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const SUITES = ["conversation store", "outbox", "prompts and tombstones", "a user's rows"];

type Report = {
  testResults: { assertionResults: { ancestorTitles: string[]; status: string; fullName: string }[] }[];
};

/** The run that a developer with a MongoDB starts: here the server is our own, and removes at once what has expired. */
test("MONGODB_URI leads every contract to that server, where they leave nothing", {
  timeout: 120_000,
}, async () => {
  const mongo = await startMongo({ sweepEveryMs: 20 });
  const client = createMongoClient(mongo.url);
  try {
    const vitest = ["node_modules/vitest/vitest.mjs", "run", "--project", "slow", "--reporter", "json"];
    const file = join(await temporaryFolder(), "report.json");
    const { stderr } = await runNode(
      [...vitest, "--outputFile", file, "tests/contract/stores.slow.test.ts", "-t", "MONGODB_URI"],
      { cwd: ROOT, env: { MONGODB_URI: mongo.url } },
    );
    expect(stderr).toBe("");
    const report = JSON.parse(await readFile(file, "utf8")) as Report;
    const results = report.testResults.flatMap(({ assertionResults }) => assertionResults);
    const run = results.filter(({ status }) => status !== "skipped");
    expect(run.filter(({ status }) => status !== "passed")).toEqual([]);
    expect(new Set(run.map(({ ancestorTitles: [suite] }) => suite))).toEqual(
      new Set(SUITES.map((suite) => `${suite}: MongoDB at MONGODB_URI`)),
    );
    const { count, byOperation } = mongo.requests();
    expect(count).toBeGreaterThan(2_000);
    expect(byOperation).toMatchObject({ dropDatabase: SUITES.length });
    expect((await client.db().admin().listDatabases()).databases).toEqual([]);
  } finally {
    await client.close();
    await mongo.close();
    await removeTemporaryFolders();
  }
});
