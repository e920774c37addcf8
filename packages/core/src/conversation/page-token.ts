import { AppError } from "../error.ts";
import { isConversationId } from "../id.ts";
import * as z from "../schema.ts";
import type { Page } from "./conversation-store.ts";
import type { Conversation } from "./types.ts";

/** Where a page of a list of conversations ended. */
export const listPosition = z.object({
  id: z.string().check(z.refine(isConversationId)),
  at: z.int().check(z.minimum(0)),
});

/** An opaque page token: where a page ended, and nothing of whose it was. */
export const encodeToken = (position: unknown) => Buffer.from(JSON.stringify(position)).toString("base64url");

/** @throws AppError invalid_argument for anything that `encodeToken` did not make in this shape */
export function decodeToken<T>(token: string, schema: z.ZodMiniType<T>): T {
  try {
    return schema.parse(JSON.parse(Buffer.from(token, "base64url").toString("utf8")));
  } catch (cause) {
    throw new AppError("invalid_argument", "page_token is not one that this service gave.", {
      cause,
      meta: { argument: "page_token" },
    });
  }
}

/** A page of a list of conversations, with the token of the next one when there is `more`. */
export function listPage(items: Conversation[], more: boolean): Page<Conversation> {
  const last = more ? items.at(-1) : undefined;
  return { items, nextToken: last && encodeToken({ id: last.id, at: last.lastActivity }) };
}
