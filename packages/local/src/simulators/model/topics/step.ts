import type { Json } from "../json.ts";
import type { OfferedTool } from "../types.ts";

/** One thing that a message wants: the call it needs, if any, and how to word the answer from that call's result. */
export type Step = {
  call?: { name: string; arguments: Json };
  say(result: string): string;
};

/** What a step may know: the tools of this request and the model's own clock. */
export type Situation = { tools: ReadonlyMap<string, OfferedTool>; now: Date };

/** A step that needs no tool. */
export function words(text: string): Step {
  return { say: () => text };
}

/** The failure that a tool's result reports, in the tool's words; `undefined` when it is no failure. */
export function failureOf(result: string): string | undefined {
  const text = result.trim();
  if (text === "") return "the tool answered nothing.";
  return /^(?:error|failed|failure)\b[\s:.,-]*(.*)$/is.exec(text)?.[1]?.trim();
}

/** Lines that a tool adds beside its data, such as the age of what it serves, without the hint meant for the model. */
export function notes(result: string): string[] {
  const lines = result.split("\n").filter((line) => /^note\b/i.test(line));
  return lines.map((line) => line.replace(/\s*Say so\.\s*$/i, ""));
}
