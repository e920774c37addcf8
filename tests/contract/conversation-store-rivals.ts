import type { ConversationStore } from "@parley/core/conversation/conversation-store";
import type { Turn } from "@parley/core/conversation/types";
import { newConversationId } from "@parley/core/id";
import { expect, test } from "vitest";
import { allTurns } from "../support/all-turns.ts";
import { fc } from "../support/property.ts";
import {
  begin,
  holderOf,
  LEASE_MS,
  leaseFrom,
  NOW,
  replyOf,
  sessionClaim,
  turnToBegin,
} from "../support/stored-turns.ts";

const RIVALS = 8;

type Step = { kind: "begin" | "claim" | "complete" | "release"; turn: number; at: number; foreign: boolean };

const TURNS = 4;
const step: fc.Arbitrary<Step> = fc.record({
  kind: fc.constantFrom("begin", "begin", "claim", "complete", "release"),
  turn: fc.nat(TURNS - 1),
  at: fc.nat(6),
  foreign: fc.boolean(),
});

/** What holds when several instances work on one conversation at once. */
export function rivalryContract(connect: () => ConversationStore): void {
  const rivals = () => Array.from({ length: RIVALS }, connect);

  test("of one turn id begun at once one is begun and all are that turn", async () => {
    const turnId = newConversationId();
    const results = await Promise.all(rivals().map((store) => store.begin(turnToBegin({ turnId }))));
    expect(results.filter(({ outcome }) => outcome === "begun")).toHaveLength(1);
    const turns = results.map((begun) => (begun.outcome === "moved" ? undefined : begun.turn.messageId));
    expect(new Set(turns).size).toBe(1);
  });

  test("of first messages of one chat at once one is begun and the others are sent there", async () => {
    const session = sessionClaim();
    const results = await Promise.all(rivals().map((store) => store.begin(turnToBegin({ session }))));
    const begun = results.flatMap((each) => (each.outcome === "begun" ? [each.turn.conversationId] : []));
    const moved = results.flatMap((each) => (each.outcome === "moved" ? [each.conversationId] : []));
    expect(begun).toHaveLength(1);
    expect(moved).toEqual(Array(RIVALS - 1).fill(begun[0]));
  });

  test("turns begun at once are numbered without a gap, each holder its own", async () => {
    const { conversationId } = await begin(connect());
    const turns = await Promise.all(
      rivals().map((store) => begin(store, { conversationId, turnCount: 1, message: newConversationId() })),
    );
    expect(turns.map(({ seq }) => seq).toSorted((a, b) => a - b)).toEqual([2, 3, 4, 5, 6, 7, 8, 9]);
    const items = await allTurns(connect(), conversationId);
    expect(items.slice(1)).toEqual(turns.toSorted((a, b) => a.seq - b.seq));
  });

  test("of claims at once one is granted, and of completions at once one is stored", async () => {
    const turn = await begin(connect());
    const now = NOW + LEASE_MS;
    const claims = await Promise.all(rivals().map((store) => store.claim(turn, leaseFrom(now), now)));
    const granted = claims.filter((claim) => claim !== undefined);
    expect(granted).toHaveLength(1);
    const holder = holderOf(granted[0] as Turn);
    const stored = await Promise.all(
      rivals().map(async (store, index) => {
        const title = index % 2 === 0 ? `Title ${index}` : undefined;
        const reply = replyOf(`reply ${index}`);
        return (await store.complete(turn, holder, reply, title)) ? { reply, title } : undefined;
      }),
    );
    const [winner, ...others] = stored.filter((each) => each !== undefined);
    expect(others).toEqual([]);
    const loaded = await connect().load(turn.conversationId, 1);
    expect(loaded?.turns[0]?.reply).toEqual(winner?.reply);
    expect(loaded?.conversation.title).toBe(winner?.title);
  });

  test("whatever interleaves: no gap, one turn a turn id, one reply a turn", {
    timeout: 60_000,
  }, async () => {
    const scripts = fc.array(fc.array(step, { minLength: 1, maxLength: 8 }), { minLength: 2, maxLength: 4 });
    await fc.assert(
      fc.asyncProperty(scripts, async (workers) => {
        const board = newBoard();
        await Promise.all(workers.map((script) => work(connect(), script, board)));
        await check(connect(), board);
      }),
      { numRuns: 30 },
    );
  });
}

type Board = {
  conversationId: string;
  turnId(turn: number): string;
  /** By number of the turn in the scripts: how often it was begun, and the replies that the store took. */
  begun: number[];
  taken: string[][];
  handles: (Turn | undefined)[];
};

function newBoard(): Board {
  const conversationId = newConversationId();
  return {
    conversationId,
    turnId: (turn) => `${conversationId}-${turn}`,
    begun: Array(TURNS).fill(0),
    taken: Array.from({ length: TURNS }, () => []),
    handles: Array(TURNS).fill(undefined),
  };
}

/** One instance: it follows its script and remembers which leases it was given. */
async function work(store: ConversationStore, script: Step[], board: Board): Promise<void> {
  const held = new Map<number, string>();
  let seen = 0;
  for (const { kind, turn, at, foreign } of script) {
    const now = NOW + (at * LEASE_MS) / 2;
    const handle = board.handles[turn];
    const holder = foreign ? "somebody" : (held.get(turn) ?? "nobody");
    if (kind === "begin") {
      const lease = leaseFrom(now);
      const { conversationId } = board;
      const result = await store.begin(
        turnToBegin({ conversationId, turnCount: seen, turnId: board.turnId(turn), lease, now }),
      );
      if (result.outcome === "moved") throw new Error("there is no chat to be moved");
      if (result.outcome === "begun") {
        board.begun[turn] = (board.begun[turn] ?? 0) + 1;
        held.set(turn, lease.holder);
      }
      board.handles[turn] = result.turn;
      seen = Math.max(seen, result.turn.seq);
    } else if (handle && kind === "claim") {
      const claimed = await store.claim(handle, leaseFrom(now), now);
      if (claimed) held.set(turn, holderOf(claimed));
    } else if (handle && kind === "complete") {
      const text = newConversationId();
      const title = at % 2 === 0 ? text : undefined;
      if (await store.complete(handle, holder, replyOf(text), title)) board.taken[turn]?.push(text);
    } else if (handle && kind === "release") {
      await store.release(handle, holder);
    }
  }
}

async function check(store: ConversationStore, board: Board): Promise<void> {
  const turns = await allTurns(store, board.conversationId, 3);
  const begun = board.begun.filter((count) => count > 0);
  expect(begun).toEqual(begun.map(() => 1));
  expect(turns.map(({ seq }) => seq)).toEqual(begun.map((_, index) => index + 1));
  expect(new Set(turns.map(({ turnId }) => turnId)).size).toBe(turns.length);
  const loaded = await store.load(board.conversationId, 0);
  expect(loaded?.conversation.turnCount ?? 0).toBe(turns.length);
  for (const [number, taken] of board.taken.entries()) {
    const turn = turns.find(({ turnId }) => turnId === board.turnId(number));
    expect(taken.length).toBeLessThanOrEqual(1);
    expect(turn?.reply?.text).toBe(taken[0]);
    if (turn?.reply) expect(turn.lease).toBeUndefined();
  }
}
