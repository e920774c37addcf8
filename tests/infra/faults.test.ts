import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startDynamo } from "@parley/local/dynamodb/server";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { KEY } from "../support/deployment.ts";
import { sendJson } from "../support/http.ts";
import { buildStage } from "../support/sst/build.ts";
import { createGraphTable, startDeployed } from "../support/sst/deployed.ts";
import { SECRETS, sstDiff } from "../support/sst/diff.ts";
import { type Graph, readGraph } from "../support/sst/graph.ts";
import { copyProject, type Project } from "../support/sst/project.ts";

// Mistakes that must not get as far as a deployment, made on purpose in a copy of the product.

let project: Project;
let built: string;
beforeAll(async () => {
  project = await copyProject();
  built = await mkdtemp(join(tmpdir(), "parley-faults-"));
});
afterAll(async () => {
  await project?.remove();
  await rm(built, { recursive: true, force: true });
});

const STAGE = "faulty";
const diff = (options: { env?: Record<string, string>; secrets?: Record<string, string> } = {}) =>
  sstDiff({ root: project.root, stage: STAGE, ...options });

/** With one text of the product replaced by another. */
async function having<T>(file: string, from: string, to: string, work: () => Promise<T>): Promise<T> {
  await project.edit(file, from, to);
  try {
    return await work();
  } finally {
    await project.edit(file, to, from);
  }
}

async function graphOf() {
  await buildStage(built, { root: project.root, stage: STAGE });
  return readGraph(built);
}

/** What came of listing conversations with what was built. */
async function listOn(graph: Graph) {
  const deployed = await startDeployed(graph);
  try {
    const headers = { "x-api-key": KEY.secret };
    const { status } = await sendJson(deployed.url, { path: "/v1/conversations", headers });
    return { status, denied: deployed.denied(), output: deployed.output() };
  } finally {
    await deployed.close();
  }
}

describe("sst diff refuses", () => {
  test("a deployment without a secret, and names it", async () => {
    const { OpenAiApiKey: _missing, ...secrets } = SECRETS;
    const { ok, output } = await diff({ secrets });
    expect(output).toContain("Set a value for OpenAiApiKey with `sst secret set OpenAiApiKey <value>`");
    expect(ok).toBe(false);
  });

  test("an unknown store, and names the setting", async () => {
    const { ok, output } = await diff({ env: { STORE: "postgres" } });
    expect(output).toContain("STORE is postgres");
    expect(ok).toBe(false);
  });

  test("a route to a function that nobody has described", async () => {
    const { ok, output } = await having(
      "packages/functions/src/api/routes.ts",
      'route("GET", "/ready", "health")',
      'route("GET", "/ready", "readiness")',
      () => diff(),
    );
    expect(output).toContain("infra/api.ts does not say what readiness needs");
    expect(ok).toBe(false);
  });

  test("a route whose handler is not there", async () => {
    const { ok, output } = await having(
      "packages/functions/src/api/routes.ts",
      "entry: `api/",
      "entry: `handlers/",
      () => diff(),
    );
    expect(output).toMatch(/Handler not found.*handlers\/start-conversation/);
    expect(ok).toBe(false);
  });
});

describe("what sst diff does not see", () => {
  test("an index's key that the table does not declare: DynamoDB refuses the graph's table", async () => {
    const fields = 'fields: { pk: "string", sk: "string", owner: "string", last_activity: "number" }';
    const graph = await having(
      "infra/storage.ts",
      fields,
      'fields: { pk: "string", sk: "string", owner: "string" }',
      graphOf,
    );
    const dynamo = await startDynamo();
    await expect(createGraphTable(graph, dynamo.url)).rejects.toThrow(/last_activity|KeySchema|attribute/i);
    await dynamo.close();
  });

  test("a permission that is not granted: the function that was built is refused by its policy", async () => {
    const graph = await having(
      "infra/api.ts",
      '"list-conversations": { ...edge, permissions: mayList }',
      '"list-conversations": edge',
      graphOf,
    );
    const { status, denied } = await listOn(graph);
    expect(status).toBe(503);
    expect(denied).toEqual([
      expect.stringMatching(/^ListConversations: dynamodb:Query on .*index\/by-owner$/),
    ]);
  });

  test("a link that is missing: the function that was built names the setting", async () => {
    const graph = await having(
      "infra/api.ts",
      "link: [...store, ...redis, apiKeys]",
      "link: [...store, apiKeys]",
      graphOf,
    );
    const { status, output } = await listOn(graph);
    expect(status).toBe(412);
    expect(output.join("\n")).toContain("UPSTASH_REDIS_REST_TOKEN: is not set");
  });
});
