import type { TitleCache } from "@parley/core/assistant/title-cache";
import type { FastRedis } from "@parley/core/redis/client";
import type { Tombstones } from "@parley/core/telegram/tombstones";
import { type OwnedChat, userKeys } from "./user-keys.ts";
import type { User, UserRow, UserRows } from "./user-rows.ts";

/** What was erased, or in a dry run what would be. */
export type Forgotten = {
  conversations: number;
  messages: number;
  chats: number;
  answers: number;
  /** In Redis; undefined when it was not looked at. */
  keys: number | undefined;
};

export type ForgetOptions = {
  user: User;
  rows: UserRows;
  tombstones: Tombstones;
  redis: FastRedis | undefined;
  titles: TitleCache | undefined;
  dryRun: boolean;
  /** Where an earlier run got to. */
  from: string | undefined;
  now: () => number;
  /** Hears how many rows were looked at in all, and where a later run may go on. */
  told: (looked: number, position: string | undefined) => void;
};

/**
 * Passes until one finds nothing: who was answering when the user's tombstone was set may still begin a turn behind the
 * first.
 */
const MAX_PASSES = 5;

/**
 * Erases a user of a platform. The tombstone comes first, so that nothing that waits in a queue begins anything any more;
 * running it again does what an interrupted run has left.
 * @throws when each of its passes found something new
 */
export async function forget(options: ForgetOptions): Promise<Forgotten> {
  const { user, redis, dryRun } = options;
  const done: Forgotten = { conversations: 0, messages: 0, chats: 0, answers: 0, keys: undefined };
  const chats: OwnedChat[] = [];
  if (!dryRun) await options.tombstones.set(user.platform, user.userId, options.now());
  let from = options.from;
  for (let pass = 1; ; pass++) {
    const found = await onePass(options, from, done, chats);
    if (dryRun || (found === 0 && from === undefined)) break;
    if (pass === MAX_PASSES)
      throw new Error(`rows of the user still appear after ${MAX_PASSES} passes: run it again`);
    // A pass from the middle says nothing of the beginning.
    from = undefined;
  }
  if (redis) done.keys = await eraseKeys(redis, user, chats, dryRun);
  return done;
}

async function onePass(
  { user, rows, titles, dryRun, told }: ForgetOptions,
  from: string | undefined,
  done: Forgotten,
  chats: OwnedChat[],
): Promise<number> {
  let found = 0;
  let looked = 0;
  for await (const page of rows.pages(user, from)) {
    looked += page.looked;
    found += page.rows.length;
    // Whole conversations first: what was said in them goes with them.
    const ordered = page.rows.toSorted(
      (a, b) => Number(b.kind === "conversation") - Number(a.kind === "conversation"),
    );
    for (const row of ordered) {
      chats.push(...chatsOf(row));
      if (dryRun) count(done, row);
      else await eraseRow(rows, titles, row, done, chats);
    }
    told(looked, page.position);
  }
  return found;
}

async function eraseRow(
  rows: UserRows,
  titles: TitleCache | undefined,
  row: UserRow,
  done: Forgotten,
  chats: OwnedChat[],
): Promise<void> {
  if (row.kind !== "conversation") {
    if (row.kind === "message") await titles?.forget([row.text]);
    if (await rows.erase(row)) count(done, row);
    return;
  }
  const erased = await rows.eraseConversation(row.owner, row.id);
  if (!erased) return;
  done.conversations += 1;
  done.messages += erased.turns;
  chats.push(...erased.chats.map(({ chatId }) => ({ owner: row.owner, chatId })));
  await titles?.forget(erased.opening);
}

const PLURAL = {
  conversation: "conversations",
  message: "messages",
  chat: "chats",
  answer: "answers",
} as const;
function count(done: Forgotten, { kind }: UserRow): void {
  done[PLURAL[kind]] += 1;
}

function chatsOf(row: UserRow): OwnedChat[] {
  if (row.kind === "conversation") return row.chats.map(({ chatId }) => ({ owner: row.owner, chatId }));
  return row.kind === "chat" ? [{ owner: row.owner, chatId: row.session.chatId }] : [];
}

async function eraseKeys(
  redis: FastRedis,
  user: User,
  chats: readonly OwnedChat[],
  dryRun: boolean,
): Promise<number> {
  // SCAN may tell a key twice.
  const seen = new Set<string>();
  for await (const keys of userKeys(redis, user, chats)) {
    if (keys.length > 0 && !dryRun) await redis.del(...keys);
    for (const key of keys) seen.add(key);
  }
  return seen.size;
}
