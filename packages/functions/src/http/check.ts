import { AppError } from "@parley/core/error";
import type * as z from "@parley/core/schema";
import { truncate } from "@parley/core/text";

const MAX_PROBLEMS = 5;
const MAX_NAME = 40;

/** `value` as `schema` reads it. @throws AppError invalid_argument that names every field that is wrong */
export function check<T>(schema: z.ZodMiniType<T>, value: unknown): T {
  const parsed = schema.safeParse(value, { reportInput: true });
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.slice(0, MAX_PROBLEMS).map((issue) => {
    const field = issue.path.map((part) => nameOf(String(part))).join(".") || "body";
    return { field, text: `${field}: ${describe(issue)}` };
  });
  throw new AppError("invalid_argument", problems.map(({ text }) => text).join("; "), {
    meta: { argument: problems[0]?.field ?? "body" },
  });
}

/** Names are the client's: characters are counted and not graphemes, one of which can be the whole body. */
const nameOf = (name: string) => truncate(name, MAX_NAME, "…");

function describe(issue: z.core.$ZodIssue): string {
  if (issue.code === "unrecognized_keys") {
    return `unknown field ${issue.keys.slice(0, MAX_PROBLEMS).map(nameOf).join(", ")}`;
  }
  if (issue.code === "invalid_type" && issue.input === undefined) return "is required";
  return issue.message;
}
