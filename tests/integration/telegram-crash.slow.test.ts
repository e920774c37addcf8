import { texts } from "@parley/core/telegram/texts";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { startGate } from "../support/hold-gate.ts";
import { type Speaker, startTelegramRig, type TelegramRig } from "../support/telegram-rig.ts";

/** As long as the queue hides what was received. */
const HIDDEN_MS = 150_000;
const WAIT = { timeout: 20_000, interval: 20 };

/** On a busy machine. */
vi.setConfig({ testTimeout: 120_000 });

let rig: TelegramRig;
let gate: Awaited<ReturnType<typeof startGate>>;
/** Kill the worker that has a message, by its text. */
const kills = new Map<string, () => void>();

beforeAll(async () => {
  rig = await startTelegramRig({
    async between(engines) {
      const { origin } = new URL(engines.model);
      gate = await startGate(origin);
      return { ...engines, model: engines.model.replace(origin, gate.origin) };
    },
    invoke({ Records: [record] }, call) {
      const killing = new AbortController();
      const { update } = JSON.parse(record?.body ?? "");
      kills.set((update.message ?? update.edited_message).text, () => killing.abort());
      return call(killing.signal);
    },
  });
});
afterAll(async () => {
  await rig.close();
  await gate.close();
});

const textsOf = async (speaker: Speaker) => (await speaker.heard()).map(({ text }) => text);

/** Kills the worker when it asks the model about this message; its message stays hidden in the queue. */
async function killAt(text: string, begin: () => Promise<unknown>): Promise<void> {
  const { results } = rig.poller.stats();
  const { reached } = gate.hold(`${text}"}],"tools"`);
  await begin();
  await reached;
  kills.get(text)?.();
  await vi.waitFor(() => expect(rig.poller.stats().results.error).toBe(results.error + 1), WAIT);
}

const later = () => rig.passTime(HIDDEN_MS);

test("a message that kills every worker is a dead letter; other chats go on, and then its own", async () => {
  const [ann, bob] = [await rig.person(), await rig.person()];
  const poison = "What's the weather in Atlantis?";
  await killAt(poison, () => ann.say(poison));
  await ann.say("What's the weather in Rome?");
  expect((await bob.ask("What's the weather in Oslo?")).text).toMatch(/Oslo/);
  await killAt(poison, later);
  expect((await bob.ask("What's the weather in Bonn?")).text).toMatch(/Bonn/);
  await killAt(poison, later);
  expect(await ann.heard()).toEqual([]);
  await later();
  await rig.idle();
  expect(await textsOf(ann)).toEqual([texts.failed, expect.stringMatching(/Rome/)]);
  const [poisoned] = await rig.turns(ann.chat);
  expect(poisoned).toMatchObject({ message: poison, reply: undefined });
  expect(rig.deadLetters()).toEqual([Number(poisoned?.turnId.split(":").at(-1))]);
  await vi.waitFor(() => expect(rig.metric("TelegramDeadLetters")).toBe(1), WAIT);
});

test("a message whose second worker is killed as well is answered by the third", async () => {
  const ann = await rig.person();
  const unlucky = "What's the weather in Paris?";
  const dead = rig.deadLetters();
  await killAt(unlucky, () => ann.say(unlucky));
  await killAt(unlucky, later);
  await later();
  await rig.idle();
  expect(await textsOf(ann)).toEqual([expect.stringMatching(/Paris/)]);
  expect(await rig.turns(ann.chat)).toHaveLength(1);
  expect(rig.deadLetters()).toEqual(dead);
});

test("an edit is answered although its first worker has died, and an update already answered is not", async () => {
  const ann = await rig.person();
  const { message_id } = await ann.say("What's the weather in Lisbon?");
  await rig.idle();
  const text = "What's the weather in Porto?";
  await killAt(text, () => rig.control.edit({ chat: ann.chat, message_id, text }));
  await later();
  await rig.idle();
  expect(await textsOf(ann)).toEqual([expect.stringMatching(/Lisbon/), expect.stringMatching(/Porto/)]);
  expect((await rig.turns(ann.chat)).map(({ message }) => message)).toEqual([
    "What's the weather in Lisbon?",
    text,
  ]);
});

test("what the killed worker was asked to stop is not begun again", async () => {
  const ann = await rig.person();
  const question = "What's the weather in Madrid?";
  await killAt(question, () => ann.say(question));
  await ann.ask("/stop");
  const asked = rig.model.total();
  await later();
  await rig.idle();
  expect(await textsOf(ann)).toEqual([texts.stopped]);
  expect(rig.model.total()).toBe(asked);
});
