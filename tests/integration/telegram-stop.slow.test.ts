import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { startGate } from "../support/hold-gate.ts";
import { BOT, type Speaker, startTelegramRig, type TelegramRig } from "../support/telegram-rig.ts";

/* By the real clock: the worker looks for a /stop every two seconds, and types every four. */

const TYPING_EVERY_MS = 4_000;
const WAIT = { timeout: 20_000, interval: 20 };
const MENTION = `@${BOT.username} `;

let rig: TelegramRig;
let gate: Awaited<ReturnType<typeof startGate>>;

beforeAll(async () => {
  rig = await startTelegramRig({
    maxWorkers: 8,
    async between(engines) {
      const { origin } = new URL(engines.model);
      gate = await startGate(origin);
      return { ...engines, model: engines.model.replace(origin, gate.origin) };
    },
  });
});
afterAll(async () => {
  await rig.close();
  await gate.close();
});

const textsOf = async (speaker: Speaker) => (await speaker.heard()).map(({ text }) => text);

const seen = async (chat: number, actions: string[]) =>
  expect((await rig.control.transcript({ chat })).actions.map(({ action }) => action)).toEqual(actions);

/** Until this is all that was heard. */
const answered = (speaker: Speaker, text: RegExp) =>
  vi.waitFor(async () => expect(await textsOf(speaker)).toEqual([expect.stringMatching(text)]), WAIT);

/** A question that nobody else asks here, and the model's request for its answer, which hangs. */
async function askInVain(speaker: Speaker, question: string, address = "") {
  const hold = gate.hold(question);
  await speaker.say(address + question);
  await hold.reached;
  return hold;
}

describe.concurrent("/stop", { timeout: 60_000 }, () => {
  test("ends the model's request; no answer comes, and the next message gets one", async () => {
    const ann = await rig.person();
    const { abandoned } = await askInVain(ann, "What's the weather in Paris?");
    expect((await ann.ask("/stop")).text).toBe("Stopped.");
    await abandoned;
    expect((await ann.ask("What's the weather in Rome?")).text).toMatch(/Rome/);
    const [stopped, next] = await rig.turns(ann.chat);
    expect(stopped).toMatchObject({ message: "What's the weather in Paris?" });
    expect(stopped?.reply).toBeUndefined();
    expect(next).toMatchObject({ message: "What's the weather in Rome?", reply: expect.anything() });
    expect(await ann.heard()).toHaveLength(2);
  });

  test("is for what waits in the queue as well", async () => {
    const bob = await rig.person();
    const { abandoned } = await askInVain(bob, "What's the weather in Oslo?");
    await bob.say("What's the weather in Bergen?");
    await bob.say("What's the weather in Tromso?");
    await bob.ask("/stop");
    await abandoned;
    expect((await bob.ask("What's the weather in Lima?")).text).toMatch(/Lima/);
    expect((await rig.turns(bob.chat)).map(({ message }) => message)).toEqual([
      "What's the weather in Oslo?",
      "What's the weather in Lima?",
    ]);
    expect(await bob.heard()).toHaveLength(2);
  });

  test("holds for an answer that is ready before the worker has looked", async () => {
    const cyd = await rig.person();
    const { release } = await askInVain(cyd, "What's the weather in Cairo?");
    await cyd.ask("/stop");
    release();
    expect((await cyd.ask("What's the weather in Accra?")).text).toMatch(/Accra/);
    expect(await textsOf(cyd)).toEqual(["Stopped.", expect.stringMatching(/Accra/)]);
  });

  test("is for one topic, or one chat", async () => {
    const eve = await rig.person();
    const { id } = await rig.control.createGroup({ is_forum: true, members: [eve.from] });
    const [one, two] = await Promise.all(
      ["One", "Two"].map((name) => rig.control.createTopic({ chat: id, name })),
    );
    const [here, there] = [one!, two!].map(({ message_thread_id: thread }) =>
      rig.speaker({ chat: id, from: eve.from, thread }),
    ) as [Speaker, Speaker];
    const stopped = await askInVain(here, "What's the weather in Delhi?", MENTION);
    const other = await askInVain(there, "What's the weather in Dubai?", MENTION);
    expect(await here.ask(`/stop@${BOT.username}`)).toMatchObject({ text: "Stopped." });
    await stopped.abandoned;
    other.release();
    await answered(there, /Dubai/);
    expect(await textsOf(here)).toEqual(["Stopped."]);
  });

  test("is heard while Telegram keeps the worker's typing waiting", async () => {
    const dee = await rig.person();
    const { abandoned } = await askInVain(dee, "What's the weather in Minsk?");
    const { id } = await rig.control.addFault({ kind: "hang", method: "sendChatAction", chat: dee.chat });
    const struck = async () => (await rig.control.faults()).find((fault) => fault.id === id)?.struck;
    await vi.waitFor(async () => expect(await struck()).toBe(1), WAIT);
    await dee.ask("/stop");
    // grammY's patience is longer.
    const patience = new AbortController();
    const late = sleep(8_000, "late", { signal: patience.signal }).catch(() => {});
    expect(await Promise.race([abandoned, late])).not.toBe("late");
    patience.abort();
  });
});

describe.concurrent("typing", { timeout: 60_000 }, () => {
  test("is shown again and again while the model works", async () => {
    const fay = await rig.person();
    const { id } = await rig.control.createGroup({ is_forum: true, members: [fay.from] });
    const { message_thread_id: thread } = await rig.control.createTopic({ chat: id, name: "Topic" });
    const inTopic = rig.speaker({ chat: id, from: fay.from, thread });
    const { release } = await askInVain(inTopic, "What's the weather in Quito?", MENTION);
    const actions = async () => {
      const { events } = await rig.control.transcript({ chat: id });
      return events.filter((event) => event.type === "action");
    };
    await vi.waitFor(async () => expect(await actions()).toHaveLength(3), WAIT);
    release();
    await answered(inTopic, /Quito/);
    const shown = await actions();
    expect(shown.map(({ action, message_thread_id }) => [action, message_thread_id])).toEqual(
      Array(3).fill(["typing", thread]),
    );
    await seen(id, []);
  });

  test("is shown at once when the message had to wait", async () => {
    const gus = await rig.person();
    const first = await askInVain(gus, "What's the weather in Sofia?");
    const second = gate.hold("What's the weather in Malta?");
    await gus.say("What's the weather in Malta?");
    await sleep(TYPING_EVERY_MS);
    first.release();
    await second.reached;
    // Long before the next typing is due.
    await vi.waitFor(() => seen(gus.chat, ["typing"]), { timeout: TYPING_EVERY_MS / 2 });
    second.release();
  });
});
