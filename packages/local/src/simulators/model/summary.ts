import { isObject } from "./json.ts";
import type { ChatRequest } from "./types.ts";
import { understand } from "./understanding/understanding.ts";

const SUMMARY = /<conversation_summary>\n([\s\S]*)\n<\/conversation_summary>/;
/** Facts, newest last, that a summary has room for. */
const MOST_FACTS = 40;
const NOTHING = "The user has told nothing to remember.";

/** Whether a request wants a summary: it offers no tools and its instructions speak of one. */
export function isSummaryRequest({ tools, messages }: ChatRequest): boolean {
  const instructs = messages.some(
    ({ role, text }) => (role === "system" || role === "developer") && /\bsummary\b/i.test(text),
  );
  return tools.length === 0 && instructs;
}

/** What the user has told, each fact a line that says it as the user would. */
export function summaryOf({ messages }: ChatRequest): string {
  const { facts, notes } = understand(
    messages.flatMap(({ text }) => text.split("\n").flatMap(heardIn)),
  ).memory;
  const lines = [
    ...[...facts].map(([key, value]) => `- my ${key} is ${value}`),
    ...notes.map((note) => `- remember that ${note}`),
  ];
  return lines.length === 0 ? NOTHING : lines.slice(-MOST_FACTS).join("\n");
}

/** The facts of a message that is a summary; `undefined` when it is none. */
export function told(text: string): string[] | undefined {
  const summary = SUMMARY.exec(text)?.[1];
  return summary === undefined ? undefined : factsOf(summary);
}

/** What the user said by one line of a transcript: `{"user": ...}`, `{"summary_so_far": ...}`. */
function heardIn(line: string): string[] {
  try {
    const said: unknown = JSON.parse(line);
    if (!isObject(said)) return [];
    if (typeof said["summary_so_far"] === "string") return factsOf(said["summary_so_far"]);
    return typeof said["user"] === "string" ? [said["user"]] : [];
  } catch {
    // No line of the transcript.
    return [];
  }
}

const factsOf = (summary: string): string[] =>
  summary.split("\n").flatMap((line) => (line.startsWith("- ") ? [line.slice(2)] : []));
