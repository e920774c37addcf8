// One Lambda instance as a process of its own, run by tests that kill it: the real composition root, its engines by
// its environment. Reads turns from standard input, a line of JSON each, and answers on standard output.
import { flushCompileCache } from "node:module";
import { createInterface } from "node:readline";
import { Deadline } from "@parley/core/resilience/deadline";
import { container } from "../../packages/functions/src/answering.ts";
// What the first turn would load.
import "../../packages/functions/src/assistant.ts";
import "openai";
import type { ChildTurn } from "./turn-process.ts";

const say = (word: string, value: unknown = null) =>
  process.stdout.write(`${word} ${JSON.stringify(value)}\n`);

const { conversations } = container();
// It would be written at a regular exit.
flushCompileCache();
say("ready");
for await (const line of createInterface({ input: process.stdin })) {
  const { deadlineMs, ...ask } = JSON.parse(line) as ChildTurn;
  const asked = conversations.converse({ ...ask, deadline: new Deadline(deadlineMs) });
  await asked.then(
    (result) => say("result", result),
    (error: unknown) => say("error", String(error)),
  );
}
