import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { runNode } from "../support/process.ts";

const SCRIPT = fileURLToPath(new URL("../../scripts/dashboard.ts", import.meta.url));
const HELP = /^npm run dashboard \[-- --seconds N\]/m;

describe("npm run dashboard", () => {
  test("--help explains it", async () => {
    const { code, stdout, stderr } = await runNode([SCRIPT, "--help"]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout).toMatch(HELP);
    for (const flag of ["--seconds", "--out", "--help"]) expect(stdout).toContain(flag);
  });

  test.each([
    [["--seconds", "soon"], "--seconds is soon"],
    [["--seconds", "19"], "--seconds is 19"],
    [["--seconds", "601"], "--seconds is 601"],
    [["--seconds", "30.5"], "--seconds is 30.5"],
    [["--out", "page.pdf"], "--out is page.pdf"],
    [["--fast"], "--fast"],
    [["30"], "30"],
    [["--out"], "--out"],
  ])("%j ends with 2, what is wrong and the help", async (args, problem) => {
    const { code, stdout, stderr } = await runNode([SCRIPT, ...args]);
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(stderr.split("\n")[0]).toContain(problem);
    expect(stderr).toMatch(HELP);
  });
});
