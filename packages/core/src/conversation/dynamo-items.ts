import type { Retention } from "./retention.ts";
import { type Conversation, MAX_SEQ, type SessionMetadata, type Turn } from "./types.ts";

export type Item = Record<string, unknown>;
type Key = { pk: string; sk: string };

const HEAD_SK = "TURN#HEAD";
const turnSk = (seq: number) => `TURN#${String(seq).padStart(10, "0")}`;
/** Sort keys of turns only; the head sorts after them. */
const FIRST_TURN = turnSk(0);
const LAST_TURN = turnSk(MAX_SEQ + 1);

const conversationPk = (id: string) => `CONV#${id}`;
export const headKey = (id: string): Key => ({ pk: conversationPk(id), sk: HEAD_SK });
export const turnKey = (id: string, seq: number): Key => ({ pk: conversationPk(id), sk: turnSk(seq) });
/** A query for the newest turns of a conversation, up to number `last`; without it the head comes first, as one of them. */
export const newest = (id: string, limit: number, last?: number) =>
  within(id, FIRST_TURN, last === undefined ? HEAD_SK : turnSk(last), {
    ScanIndexForward: false,
    Limit: limit,
  });

/** A query for the turns after number `seq`, oldest first. */
export const turnsAfter = (id: string, seq: number, limit: number) =>
  within(id, turnSk(seq + 1), LAST_TURN, { ScanIndexForward: true, Limit: limit });

const within = (
  id: string,
  first: string,
  last: string,
  order: { ScanIndexForward: boolean; Limit: number },
) => ({
  KeyConditionExpression: "pk = :pk AND sk BETWEEN :first AND :last",
  ExpressionAttributeValues: { ":pk": conversationPk(id), ":first": first, ":last": last },
  ConsistentRead: true,
  ...order,
});

/** What clients choose is encoded, so that no value reaches beyond its own part of the key. */
export const turnIdKey = (owner: string, turnId: string): Key => ({
  pk: `KEY#${encodeURIComponent(owner)}#${encodeURIComponent(turnId)}`,
  sk: "KEY",
});
export const sessionKey = (owner: string, { platform, chatId }: SessionMetadata): Key => ({
  pk: `SESSION#${[owner, platform, chatId].map(encodeURIComponent).join("#")}`,
  sk: "SESSION",
});

/** A head that is being erased counts as gone, and so does one whose last activity is before `since`. */
export const isHead = (item: Item, since: number) =>
  item["sk"] === HEAD_SK && item["erasing"] === undefined && (item["last_activity"] as number) >= since;

/** For the table's time to live: an attribute in seconds, of what is not kept for ever. */
export function expiry(retention: Retention, at: number): { expires_at: number } | undefined {
  const end = retention.endOf(at);
  return end === undefined ? undefined : { expires_at: Math.ceil(end / 1000) };
}

/** The end of a SET that renews the same, or takes back what an earlier setting has left. */
export const renewal = (expires: ReturnType<typeof expiry>) =>
  expires ? ", expires_at = :expires_at" : " REMOVE expires_at";

export const headItem = (conversation: Conversation): Item => ({
  ...headKey(conversation.id),
  id: conversation.id,
  owner: conversation.owner,
  platform: conversation.platform,
  session: conversation.session,
  title: conversation.title,
  summary: conversation.summary,
  turn_count: conversation.turnCount,
  created_at: conversation.createdAt,
  last_activity: conversation.lastActivity,
});

export const toConversation = (item: Item): Conversation => ({
  id: item["id"] as string,
  owner: item["owner"] as string,
  platform: item["platform"] as string,
  session: item["session"] as SessionMetadata | undefined,
  title: item["title"] as string | undefined,
  summary: item["summary"] as Conversation["summary"],
  turnCount: item["turn_count"] as number,
  createdAt: item["created_at"] as number,
  lastActivity: item["last_activity"] as number,
});

const LISTED = [
  "pk",
  "sk",
  "id",
  "owner",
  "platform",
  "session",
  "title",
  "turn_count",
  "created_at",
  "last_activity",
];
/** What a list reads of heads: all but their summaries. By aliases, for some names are DynamoDB's own words. */
export const listed = {
  ProjectionExpression: LISTED.map((name) => `#${name}`).join(", "),
  ExpressionAttributeNames: Object.fromEntries(LISTED.map((name) => [`#${name}`, name])),
};
/** The chats that a conversation began in and moved to. */
export function chatsOf(head: Item): SessionMetadata[] {
  const { session } = toConversation(head);
  if (!session) return [];
  const moved = [...((head["moved_to"] as Set<string> | undefined) ?? [])];
  return [session, ...moved.map((chatId) => ({ ...session, chatId }))];
}

export const turnItem = (turn: Turn): Item => ({
  ...turnKey(turn.conversationId, turn.seq),
  conversation_id: turn.conversationId,
  seq: turn.seq,
  turn_id: turn.turnId,
  digest: turn.digest,
  message: turn.message,
  message_id: turn.messageId,
  created_at: turn.createdAt,
  lease: turn.lease,
  reply: turn.reply,
});

export const toTurn = (item: Item): Turn => ({
  conversationId: item["conversation_id"] as string,
  seq: item["seq"] as number,
  turnId: item["turn_id"] as string,
  digest: item["digest"] as string,
  message: item["message"] as string,
  messageId: item["message_id"] as string,
  createdAt: item["created_at"] as number,
  lease: item["lease"] as Turn["lease"],
  reply: item["reply"] as Turn["reply"],
});
