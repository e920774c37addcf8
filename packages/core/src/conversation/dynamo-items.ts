import { type Conversation, MAX_SEQ, type SessionMetadata, type Turn } from "./types.ts";

export type Item = Record<string, unknown>;
type Key = { pk: string; sk: string };

const HEAD_SK = "TURN#HEAD";
const turnSk = (seq: number) => `TURN#${String(seq).padStart(10, "0")}`;
/** Sort keys of turns only; the head sorts after them. */
export const FIRST_TURN = turnSk(0);
export const LAST_TURN = turnSk(MAX_SEQ + 1);

export const conversationPk = (id: string) => `CONV#${id}`;
export const headKey = (id: string): Key => ({ pk: conversationPk(id), sk: HEAD_SK });
export const turnKey = (id: string, seq: number): Key => ({ pk: conversationPk(id), sk: turnSk(seq) });
/** What clients choose is encoded, so that no value reaches beyond its own part of the key. */
export const turnIdKey = (owner: string, turnId: string): Key => ({
  pk: `KEY#${encodeURIComponent(owner)}#${encodeURIComponent(turnId)}`,
  sk: "KEY",
});
export const sessionKey = (owner: string, { platform, chatId }: SessionMetadata): Key => ({
  pk: `SESSION#${[owner, platform, chatId].map(encodeURIComponent).join("#")}`,
  sk: "SESSION",
});

/** A head that is being erased counts as gone. */
export const isHead = (item: Item) => item["sk"] === HEAD_SK && item["erasing"] === undefined;

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
