import { randomUUID } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { newTurnId } from "@parley/core/id";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Moment, startGate } from "../support/gate.ts";
import { type Rig, startRig } from "../support/rig.ts";
import { conversationOf, replyOf, sessionClaim } from "../support/stored-turns.ts";
import { wantsSummary } from "../support/traffic.ts";
import { startTurnProcess } from "../support/turn-process.ts";

/** A process that dies around the summary of a conversation: nothing is lost but, perhaps, the summary, which comes later. */

const FULL = 30;
const SECOND_UPDATE = "dynamo UpdateItem #2";
const moments: [name: string, moment: Moment, stored: boolean][] = [
  ["asking for it", { request: "model summary", when: "before it is forwarded" }, false],
  ["with it in hand", { request: SECOND_UPDATE, when: "before it is forwarded" }, false],
  ["having stored it", { request: SECOND_UPDATE, when: "before it is answered" }, true],
];

const gateBefore = ({ storeEngine, upstash, model, weather }: Rig) =>
  startGate({ dynamo: storeEngine.url, redis: upstash.url, model: model.url, weather: weather.url });

let rig: Rig;
let gate: Awaited<ReturnType<typeof gateBefore>>;
let compileCache: string;
beforeAll(async () => {
  compileCache = await mkdtemp(join(tmpdir(), "parley-compile-cache-"));
  rig = await startRig({ store: "dynamodb" });
  gate = await gateBefore(rig);
});
afterAll(async () => {
  gate?.close();
  await rig?.close();
  await rm(compileCache, { recursive: true, force: true });
});

test.each(moments)("a process dies %s", async (_, moment, stored) => {
  const { store, conversations } = rig.worker();
  const owner = randomUUID();
  const session = { platform: "telegram", userId: "user", chatId: randomUUID() };
  const fields = { owner, session: sessionClaim({ ...session, leaving: "any" }), now: Date.now() };
  const replyTo = (seq: number) => replyOf(`reply ${seq}`, { steps: [] });
  const message = "My dog is called Laika.";
  const id = await conversationOf(store, 1, { ...fields, replyTo, message, title: "Long" });
  await conversationOf(store, FULL, { ...fields, replyTo, conversationId: id, from: 2 });
  rig.model.reset();
  // The reply is stored before the summary comes.
  rig.model.inject({ delayMs: 1_000, bodyIncludes: '{\\"user\\":' });

  const instance = await startTurnProcess(gate.urls, { compileCache });
  const struck = gate.watch(moment, instance.kill);
  const ask = { owner, session, message: "Thanks a lot!", turnId: newTurnId() };
  instance.ask({ ...ask, deadlineMs: 20_000 });
  await struck;
  expect(await instance.ended()).toBe("SIGKILL");
  await gate.quiet();

  const summary = async () => (await store.load(id, 0))?.conversation.summary;
  expect((await summary()) !== undefined).toBe(stored);
  const asked = rig.model.requests.filter(wantsSummary).length;
  rig.clock.advance(30_000);
  const again = await conversations.converse({ ...ask, deadline: rig.deadline() });
  expect(again.reply.text).toContain("You are welcome");
  const next = { owner, session, message: "What is my dog called?" };
  await conversations.converse({ ...next, deadline: rig.deadline() });
  expect(await summary()).toMatchObject({ text: "- my dog is called Laika" });
  const { reply } = await conversations.converse({ ...next, deadline: rig.deadline() });
  expect(reply.text).toContain("Laika");
  expect(rig.model.requests.filter(wantsSummary)).toHaveLength(stored ? asked : asked + 1);
  expect((await store.load(id, 0))?.conversation.turnCount).toBe(FULL + 3);
});
