import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { runNode } from "../support/process.ts";

const DRILL = fileURLToPath(new URL("drill.ts", import.meta.url));

/** Each with the fault that shows it. */
test.each([
  ["no-lease", "prober killed", "breaker recovers: the circuit was not closed"],
  ["begin-after-model", "none", "stored before the model is asked: c0m0"],
  ["no-fencing", "write arrives late", "no crossing: c"],
  ["no-hold", "budget nearly spent", "budgets exact: "],
  ["resend-ambiguous", "telegram answers lost", "no duplicate: in chat"],
])(
  "the drill catches a build with %s",
  async (build, fault, found) => {
    const { code, stdout, stderr } = await runNode([DRILL, "--broken", build, "--only", fault]);
    expect({ code, stderr }).toEqual({ code: 1, stderr: "" });
    expect(stdout).toContain(found);
    // Not because its fault met nobody.
    expect(stdout).not.toContain("the drill itself");
  },
  120_000,
);

test.each([
  [["--only", "store on fire"], 'there is no fault "store on fire"'],
  [["--broken", "all"], 'there is no broken build "all"'],
  [["--seed", "x"], "--seed takes a whole number"],
  [["--speed", "2"], "Unknown option '--speed'"],
])("%s is a clear error", async (args, said) => {
  const { code, stdout, stderr } = await runNode([DRILL, ...args]);
  expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
  expect(stderr).toContain(said);
});
