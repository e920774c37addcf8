import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import type { TurnResult } from "@parley/core/conversation/turns";
import type { SessionMetadata } from "@parley/core/conversation/types";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { sentTo } from "../support/assistant.ts";
import { MINUTE_MS } from "../support/clock.ts";
import { OWNER, type Rig, startRig } from "../support/rig.ts";
import { conversationOf, replyOf, sessionClaim } from "../support/stored-turns.ts";
import { wantsReply, wantsSummary } from "../support/traffic.ts";

/** Turns of 90 tokens each that make a summary due, of the 4,000 that a worker's window holds. */
const FULL = 30;
const SUMMARY_ONLY = '{\\"user\\":';

let rig: Rig;
beforeAll(async () => {
  rig = await startRig();
});
afterAll(() => rig?.close());
beforeEach(() => rig.model.reset());

/** A chat whose window is nearly full; in its second turn a fact was told. */
async function longChat(count = FULL) {
  const worker = rig.worker();
  const session = sessionClaim({ chatId: randomUUID(), leaving: "any" });
  const now = rig.clock.now();
  const fields = { session, now, owner: OWNER, platform: "telegram", title: "Long" };
  const replyTo = (seq: number) => replyOf(`reply ${seq}`, { steps: [] });
  const id = await conversationOf(worker.store, 1, { ...fields, replyTo });
  const conversationId = id;
  await conversationOf(worker.store, 2, {
    ...fields,
    replyTo,
    conversationId,
    from: 2,
    message: "My dog is called Laika.",
  });
  await conversationOf(worker.store, count, { ...fields, replyTo, conversationId, from: 3 });
  const say = (message: string, by = worker, turnId?: string): Promise<TurnResult> => {
    const { platform, userId, chatId }: SessionMetadata = session;
    const chat = { platform, userId, chatId };
    return by.conversations.converse({
      owner: OWNER,
      session: chat,
      message,
      turnId,
      deadline: rig.deadline(),
    });
  };
  const summary = async () => (await worker.store.load(id, 0))?.conversation.summary;
  return { id, worker, say, summary };
}
const summaries = () => rig.model.requests.filter(wantsSummary).length;

test("a turn that finds its window nearly full stores one, and the next turns have it", async () => {
  const { say, summary, worker } = await longChat();
  await say("Thanks a lot!");
  expect(await summary()).toMatchObject({ text: "- my dog is called Laika" });
  expect(worker.telemetry.steps).toContain("summary");
  expect((await say("What is my dog called?")).reply.text).toContain("Laika");
  expect(summaries()).toBe(1);
  const last = sentTo({ requests: rig.model.requests.filter(wantsReply) }).at(-1);
  expect(last?.messages[0]).toMatchObject({ role: "system" });
  expect(last?.messages[1]).toMatchObject({
    role: "user",
    content: expect.stringContaining("<conversation_summary>\n- my dog is called Laika\n"),
  });
  expect(last?.messages.map(({ content }) => content)).not.toContain("My dog is called Laika.");
});

test.each([{ status: 500 }, { malformed: true }])(
  "one that fails (%o) fails no turn, is not tried again at once, and is made later with all that was missed",
  async (fault) => {
    const { say, summary, worker } = await longChat();
    rig.model.inject({ ...fault, bodyIncludes: SUMMARY_ONLY });
    for (let turn = 0; turn < 20; turn++)
      expect((await say("Thanks a lot!")).reply.text).toContain("You are welcome");
    expect(summaries()).toBe(1);
    expect(await summary()).toBeUndefined();
    expect(worker.telemetry.warnings).toHaveLength(1);
    expect(JSON.stringify(worker.telemetry.warnings)).not.toContain("Laika");

    rig.model.reset();
    rig.clock.advance(MINUTE_MS);
    await say("Thanks a lot!");
    expect(await summary()).toMatchObject({ text: "- my dog is called Laika" });
    expect((await say("What is my dog called?")).reply.text).toContain("Laika");
  },
);

test("one that never comes holds a reply that is stored for moments only", async () => {
  const { say, summary, id, worker } = await longChat();
  rig.model.inject({ hang: true, bodyIncludes: SUMMARY_ONLY });
  let stored = 0;
  const watching = (async () => {
    while (!(await worker.store.turn(id, FULL + 1))?.reply) await sleep(20);
    stored = performance.now();
  })();
  await say("Thanks a lot!");
  await watching;
  // Its patience is 3 s; a slow machine is no failure.
  expect(performance.now() - stored).toBeLessThan(10_000);
  expect(await summary()).toBeUndefined();
  expect(worker.telemetry.warnings).toHaveLength(1);
});

test("one that is late is waited for by whoever gives the answer before it, if they say so", async () => {
  const { id, worker, summary } = await longChat();
  rig.model.inject({ delayMs: 1_000, bodyIncludes: SUMMARY_ONLY });
  const rest: Promise<void>[] = [];
  const { reply } = await worker.conversations.continue({
    owner: OWNER,
    conversationId: id,
    message: "Thanks a lot!",
    deadline: rig.deadline(),
    afterwards: (work) => void rest.push(work),
  });
  expect(reply.text).toContain("You are welcome");
  expect(await summary()).toBeUndefined();
  expect(rest).toHaveLength(1);
  await Promise.all(rest);
  expect(await summary()).toMatchObject({ text: "- my dog is called Laika" });
});

test("one whose turn fails is given up with it", async () => {
  const { say, summary } = await longChat();
  rig.model.inject({ hang: true, bodyIncludes: SUMMARY_ONLY });
  rig.model.inject({ status: 401, times: 1, bodyIncludes: '"tools"' });
  await expect(say("Thanks a lot!")).rejects.toMatchObject({ code: "failed_precondition" });
  expect(await summary()).toBeUndefined();
});

test("two turns at once make one summary of it", async () => {
  const { say, summary, worker } = await longChat();
  const other = rig.worker();
  rig.model.inject({ delayMs: 200, bodyIncludes: SUMMARY_ONLY });
  await Promise.all([say("Thanks a lot!"), say("Thank you!", other)]);
  expect(summaries()).toBeLessThanOrEqual(2);
  expect(await summary()).toMatchObject({ text: "- my dog is called Laika" });
  expect([...worker.telemetry.warnings, ...other.telemetry.warnings]).toEqual([]);
  const before = summaries();
  expect((await say("What is my dog called?")).reply.text).toContain("Laika");
  expect(summaries()).toBe(before);
});

test("one that the store does not take is tried again by a later turn", async () => {
  const { say, id, summary, worker } = await longChat();
  const { summarise } = worker.store;
  worker.store.summarise = () => Promise.reject(new Error("the store is gone"));
  expect((await say("Thanks a lot!")).replayed).toBe(false);
  expect(await summary()).toBeUndefined();
  worker.store.summarise = summarise;
  await say("Thanks a lot!");
  expect(await summary()).toMatchObject({ text: "- my dog is called Laika" });
  expect((await worker.store.load(id, 0))?.conversation.turnCount).toBe(FULL + 2);
});

test("a turn that was left open is answered from what came before it, whatever the summary tells", async () => {
  const { id, say, worker } = await longChat(4);
  rig.model.inject({ status: 401, times: 1, bodyIncludes: '"tools"' });
  const ask = () => say("What is my dog called?", worker, "left-open");
  await expect(ask()).rejects.toMatchObject({ code: "failed_precondition" });
  await say("My dog is called Sputnik now.");
  await worker.store.summarise(id, { text: "- my dog is called Sputnik", upToSeq: 6, tokens: 50 });
  expect((await ask()).reply.text).toContain("Laika");
});
