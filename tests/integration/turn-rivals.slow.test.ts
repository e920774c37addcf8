import { randomUUID } from "node:crypto";
import type { TurnResult } from "@parley/core/conversation/turns";
import type { Turn } from "@parley/core/conversation/types";
import type { AppError } from "@parley/core/error";
import { newTurnId } from "@parley/core/id";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { allTurns } from "../support/all-turns.ts";
import { OWNER, type Rig, startRig } from "../support/rig.ts";
import { wantsReply, wantsTitle } from "../support/traffic.ts";

/** Many Lambda instances at once on one turn, and on one conversation. */

const WORKERS = 10;
const POSTS = 100;
/** 50 writers take turns at one head: seconds on a calm machine. */
const PATIENCE_MS = 60_000;

type Worker = ReturnType<Rig["worker"]>;
type Ask = (worker: Worker, message: string, turnId: string) => Promise<TurnResult>;

let rig: Rig;
let workers: Worker[];

beforeAll(async () => {
  rig = await startRig();
  workers = Array.from({ length: WORKERS }, () => rig.worker());
});
afterAll(() => rig?.close());
beforeEach(() => rig.model.reset());

const workerAt = (index: number) => workers[index % WORKERS] as Worker;
const conversationId = async () =>
  (await workerAt(0).conversations.start({ owner: OWNER, message: "Hello!", deadline: rig.deadline() }))
    .conversationId;

const newSession = () => ({ platform: "telegram", userId: "user", chatId: randomUUID() });
const turnsOf = (id: string): Promise<Turn[]> => allTurns(workerAt(0).store, id);

const asks: [string, number, () => Promise<Ask>][] = [
  [
    "start",
    1,
    async () => (worker, message, turnId) =>
      worker.conversations.start({ owner: OWNER, message, turnId, deadline: rig.deadline() }),
  ],
  [
    "continue",
    2,
    async () => {
      const id = await conversationId();
      return (worker, message, turnId) =>
        worker.conversations.continue({
          owner: OWNER,
          conversationId: id,
          message,
          turnId,
          deadline: rig.deadline(),
        });
    },
  ],
  [
    "converse",
    1,
    async () => {
      const session = newSession();
      return (worker, message, turnId) =>
        worker.conversations.converse({ owner: OWNER, session, message, turnId, deadline: rig.deadline() });
    },
  ],
];

function sort(settled: PromiseSettledResult<TurnResult>[]) {
  return {
    results: settled.flatMap((each) => (each.status === "fulfilled" ? [each.value] : [])),
    errors: settled.flatMap((each) => (each.status === "rejected" ? [each.reason as AppError] : [])),
  };
}

describe.each(asks)("one idempotency key, by %s", (_name, seq, prepare) => {
  test("100 posts at once are one turn and one call of the model", async () => {
    const ask = await prepare();
    const turnId = newTurnId();
    const message = `Tell me something nice, ${turnId}`;
    rig.model.reset();
    // Long enough for every rival to find the turn in progress, or done.
    rig.model.inject({ delayMs: 300, times: 2 });
    const { results, errors } = sort(
      await Promise.allSettled(
        Array.from({ length: POSTS }, (_, index) => ask(workerAt(index), message, turnId)),
      ),
    );

    expect(rig.model.requests.filter(wantsReply)).toHaveLength(1);
    expect(rig.model.requests.filter(wantsTitle).length).toBeLessThanOrEqual(1);
    const [first, ...others] = results.filter(({ replayed }) => !replayed);
    expect(others).toEqual([]);
    expect(results.length + errors.length).toBe(POSTS);
    for (const error of errors) expect(error).toMatchObject({ code: "aborted" });
    for (const { meta } of errors) expect(Number(meta["retry_after"])).toBeGreaterThanOrEqual(1);
    for (const result of results) expect(result).toEqual({ ...first, replayed: result.replayed });

    const turns = await turnsOf(first?.conversationId ?? "");
    expect(turns).toHaveLength(seq);
    expect(turns.at(-1)).toMatchObject({ seq, turnId, message, reply: first?.reply });

    const replays = await Promise.all(
      Array.from({ length: WORKERS }, (_, index) => ask(workerAt(index), message, turnId)),
    );
    for (const replay of replays) expect(replay).toEqual({ ...first, replayed: true });
    expect(rig.model.requests.filter(wantsReply)).toHaveLength(1);
  });

  test("100 retries at once of a turn that was left open are one turn and one call of the model", async () => {
    const ask = await prepare();
    const turnId = newTurnId();
    const message = `Are you there, ${turnId}?`;
    rig.model.inject({ status: 401, times: 2 });
    await expect(ask(workerAt(0), message, turnId)).rejects.toMatchObject({ code: "failed_precondition" });
    rig.model.reset();
    rig.model.inject({ delayMs: 300, times: 2 });
    const { results, errors } = sort(
      await Promise.allSettled(
        Array.from({ length: POSTS }, (_, index) => ask(workerAt(index), message, turnId)),
      ),
    );

    expect(rig.model.requests.filter(wantsReply)).toHaveLength(1);
    for (const error of errors) expect(error).toMatchObject({ code: "aborted" });
    const [first, ...others] = results.filter(({ replayed }) => !replayed);
    expect(others).toEqual([]);
    const turns = await turnsOf(first?.conversationId ?? "");
    expect(turns).toHaveLength(seq);
    expect(turns.at(-1)).toMatchObject({ seq, turnId, message, reply: first?.reply });
  });

  test("with another message it is an error, in progress and done, and changes nothing", async () => {
    const ask = await prepare();
    const turnId = newTurnId();
    rig.model.inject({ delayMs: 300, times: 2 });
    const { results, errors } = sort(
      await Promise.allSettled(
        Array.from({ length: 20 }, (_, index) => ask(workerAt(index), `message ${index % 2}`, turnId)),
      ),
    );
    const [first] = results;
    const turns = await turnsOf(first?.conversationId ?? "");
    expect(turns).toHaveLength(seq);
    const codes = errors.map(({ code }) => code);
    expect(codes.filter((code) => code === "already_exists")).toHaveLength(10);
    expect(new Set(codes)).toEqual(new Set(["already_exists", "aborted"]));

    await expect(ask(workerAt(1), "message 2", turnId)).rejects.toMatchObject({
      code: "already_exists",
      meta: { header: "idempotency-key" },
    });
    const winner = turns.at(-1)?.message ?? "";
    expect(await ask(workerAt(1), winner, turnId)).toEqual({ ...first, replayed: true });
    expect(await turnsOf(first?.conversationId ?? "")).toEqual(turns);
  });
});

test("one key in another conversation or chat is an error as well", async () => {
  const turnId = newTurnId();
  const { conversations } = workerAt(0);
  const ask = { owner: OWNER, message: "Hello!", turnId, deadline: rig.deadline() };
  await conversations.converse({ ...ask, session: newSession() });
  const other = await conversationId();
  await expect(conversations.converse({ ...ask, session: newSession() })).rejects.toMatchObject({
    code: "already_exists",
  });
  await expect(conversations.continue({ ...ask, conversationId: other })).rejects.toMatchObject({
    code: "already_exists",
  });
  await expect(conversations.start(ask)).rejects.toMatchObject({ code: "already_exists" });
  expect(await turnsOf(other)).toHaveLength(1);
});

describe("50 writers at once", { timeout: 2 * PATIENCE_MS }, () => {
  test("by one chat leave 50 turns in a gapless sequence, each with its reply", async () => {
    const session = newSession();
    const messages = Array.from({ length: 50 }, (_, index) => `Message ${index} of 50`);
    const results = await Promise.all(
      messages.map((message, index) =>
        workerAt(index).conversations.converse({
          owner: OWNER,
          session,
          message,
          deadline: rig.deadline(PATIENCE_MS),
        }),
      ),
    );
    const [id, ...others] = new Set(results.map((result) => result.conversationId));
    expect(others).toEqual([]);
    const turns = await turnsOf(id ?? "");
    expect(turns.map(({ seq }) => seq)).toEqual(messages.map((_, index) => index + 1));
    expect(turns.map(({ message }) => message).toSorted()).toEqual(messages.toSorted());
    const replies = new Map(turns.map(({ message, reply }) => [message, reply]));
    for (const [index, message] of messages.entries()) {
      expect(replies.get(message)).toEqual(results[index]?.reply);
    }
    expect((await workerAt(0).store.load(id ?? "", 0))?.conversation.turnCount).toBe(50);
  });

  test("by its id add 50 turns to a conversation", async () => {
    const id = await conversationId();
    const messages = Array.from({ length: 50 }, (_, index) => `Message ${index} of 50`);
    await Promise.all(
      messages.map((message, index) =>
        workerAt(index).conversations.continue({
          owner: OWNER,
          conversationId: id,
          message,
          deadline: rig.deadline(PATIENCE_MS),
        }),
      ),
    );
    const turns = await turnsOf(id);
    expect(turns.map(({ seq }) => seq)).toEqual(Array.from({ length: 51 }, (_, index) => index + 1));
    expect(
      turns
        .slice(1)
        .map(({ message }) => message)
        .toSorted(),
    ).toEqual(messages.toSorted());
    expect(turns.every(({ reply }) => reply !== undefined)).toBe(true);
  });
});
