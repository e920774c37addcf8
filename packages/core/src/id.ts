import { ulid } from "ulid";

/** Opaque, prefixed and sortable by time of creation: `conv_01k...`, 26 characters of lower-case Crockford base32. */
const newId = (prefix: string, now?: number) => `${prefix}_${ulid(now).toLowerCase()}`;

export const newConversationId = (now?: number) => newId("conv", now);
export const newMessageId = (now?: number) => newId("msg", now);
/** For a turn whose client gave no `Idempotency-Key`. */
export const newTurnId = (now?: number) => newId("turn", now);
/** Who holds a lease, a lock or a probe: unique per attempt, so that "already mine" can be told from "another's". */
export const newHolderId = () => newId("holder");

const conversationId = /^conv_[0-9a-hjkmnp-tv-z]{26}$/;
export const isConversationId = (value: string) => conversationId.test(value);
