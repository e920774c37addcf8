import { AppError } from "@parley/core/error";
import { isConversationId } from "@parley/core/id";
import { shorten } from "@parley/core/text";
import type { APIGatewayProxyEventV2 } from "aws-lambda";
import * as z from "zod";

const MAX_MESSAGE_BYTES = 16 * 1024;
const MAX_PAGE_SIZE = 100;
const MAX_PROBLEMS = 5;

/** Text that UTF-8 can hold: a lone surrogate becomes U+FFFD here, and not somewhere on the way to the store. */
const text = z.string().transform((value) => value.toWellFormed());

const message = text
  .refine((value) => value.trim() !== "", "must not be blank")
  .refine(
    (value) => Buffer.byteLength(value) <= MAX_MESSAGE_BYTES,
    `must not be over ${MAX_MESSAGE_BYTES} bytes of UTF-8`,
  );

const name = (max: number) => text.pipe(z.string().min(1).max(max));
const sessionMetadata = z
  .strictObject({ platform: name(32), user_id: name(128), chat_id: name(128) })
  .transform(({ platform, user_id, chat_id }) => ({ platform, userId: user_id, chatId: chat_id }));

export const startRequest = z.strictObject({ message, session_metadata: sessionMetadata.optional() });
export const continueRequest = z.strictObject({ message, session_metadata: sessionMetadata.optional() });
export const converseRequest = z.strictObject({ message, session_metadata: sessionMetadata });

const pageRequest = z.object({
  page_size: z.coerce.number().int().min(1).max(MAX_PAGE_SIZE).default(50),
  page_token: z.string().max(1_000).optional(),
});

// Printable ASCII, as a header can carry it.
const idempotencyKey = z
  .string()
  .regex(/^[\x21-\x7e]{1,255}$/, "must be 1 to 255 printable ASCII characters without spaces")
  .optional();

/** @throws AppError invalid_argument that names every field that is wrong */
function check<T>(schema: z.ZodType<T>, value: unknown, argument?: string): T {
  const parsed = schema.safeParse(value, { reportInput: true });
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.slice(0, MAX_PROBLEMS).map((issue) => {
    const field = [argument, ...issue.path].filter((part) => part !== undefined).join(".") || "body";
    return { field, text: `${field}: ${describe(issue)}` };
  });
  throw new AppError("invalid_argument", problems.map(({ text }) => text).join("; "), {
    meta: { argument: problems[0]?.field ?? "body" },
  });
}

function describe(issue: z.core.$ZodIssue): string {
  if (issue.code === "unrecognized_keys")
    return `unknown field ${issue.keys.map((key) => shorten(key, 40)).join(", ")}`;
  if (issue.code === "invalid_type" && issue.input === undefined) return "is required";
  return issue.message;
}

/** @throws AppError malformed for a body that is no JSON, invalid_argument for JSON of another shape */
export function parseBody<T>(event: APIGatewayProxyEventV2, schema: z.ZodType<T>): T {
  return check(schema, event.body);
}

export function parsePage(event: APIGatewayProxyEventV2) {
  const { page_size, page_token } = check(pageRequest, event.queryStringParameters ?? {});
  return { size: page_size, token: page_token };
}

export const parseTurnId = (event: APIGatewayProxyEventV2) =>
  check(idempotencyKey, event.headers["idempotency-key"], "idempotency-key");

/** @throws AppError not_found for what cannot be an id: whoever asks learns nothing of its form */
export function parseConversationId(event: APIGatewayProxyEventV2): string {
  const id = event.pathParameters?.["id"] ?? "";
  if (!isConversationId(id)) throw new AppError("not_found", "There is no such conversation.");
  return id;
}
