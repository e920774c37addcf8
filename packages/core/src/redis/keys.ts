import { createHash } from "node:crypto";

/** SHA-256 in lower-case hex: what users type never becomes part of a key, so it cannot shape one. */
export const sha256 = (text: string) => createHash("sha256").update(text).digest("hex");

/** Joins parts so that no two different lists give the same key. */
export const joinKey = (...parts: string[]) => parts.map(encodeURIComponent).join(":");
