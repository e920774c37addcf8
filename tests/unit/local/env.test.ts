import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { loadSettings } from "@parley/local/env";
import { afterAll, beforeAll, expect, test } from "vitest";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "parley-env-"));
});
afterAll(() => rm(folder, { recursive: true }));

async function settings(text: string, variables: Record<string, string | undefined> = {}) {
  const file = join(folder, ".env");
  await writeFile(file, text);
  return loadSettings(file, variables);
}

test("reads the file as node does: comments, quotes and export", async () => {
  expect(await settings("# comment\nA=1\nexport B='two words' # why\nC=\"x\\ny\"\n")).toEqual({
    A: "1",
    B: "two words",
    C: "x\ny",
  });
});

test("a real environment variable wins, even a blank one, which unsets", async () => {
  const variables = { A: "real", B: "", C: undefined };
  expect(await settings("A=file\nB=file\nD=file\n", variables)).toEqual({ A: "real", D: "file" });
});

test("a blank line of the file is no setting", async () => {
  expect(await settings("A=\nB=' '\n")).toEqual({});
});

test("what npm and Node set for this process is left out", async () => {
  const variables = { npm_config_x: "1", NODE_OPTIONS: "--inspect", INIT_CWD: "/", HOME: "/home" };
  expect(await settings("", variables)).toEqual({ HOME: "/home" });
});

test("no file is fine, an unreadable one is not", async () => {
  expect(await loadSettings(join(folder, "none"), { A: "1" })).toEqual({ A: "1" });
  await expect(loadSettings(folder, {})).rejects.toThrow("EISDIR");
});
