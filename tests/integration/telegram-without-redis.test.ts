import { texts } from "@parley/core/telegram/texts";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { type Speaker, startTelegramRig, type TelegramRig } from "../support/telegram-rig.ts";

let rig: TelegramRig;
let ann: Speaker;

beforeAll(async () => {
  rig = await startTelegramRig({ redis: false });
});
afterAll(() => rig.close());
beforeEach(async () => {
  ann = await rig.person({ first_name: "Ann" });
});

const textsOf = async (speaker: Speaker) => (await speaker.heard()).map(({ text }) => text);

test("a conversation has its memory, its weather and its order", async () => {
  await ann.ask("My name is Zelda.");
  await ann.say("What's the weather in Barcelona?");
  await ann.say("And tomorrow?");
  await ann.say("What is my name?");
  await rig.idle();
  expect((await textsOf(ann)).slice(1)).toEqual([
    expect.stringMatching(/Barcelona.*simulated/s),
    expect.stringMatching(/Tomorrow.*Barcelona/s),
    expect.stringMatching(/Zelda/),
  ]);
  expect((await rig.turns(ann.chat)).map(({ seq }) => seq)).toEqual([1, 2, 3, 4]);
  expect((await ann.ask("/status")).text).toMatch(/^Messages from you: 4$/m);
});

test("/new leaves what was said before behind", async () => {
  await ann.ask("My name is Zelda.");
  expect((await ann.ask("/new")).text).toBe(texts.new);
  expect((await ann.ask("What is my name?")).text).not.toMatch(/Zelda/);
});

test("/stop says that it cannot", async () => {
  expect((await ann.ask("/stop")).text).toBe(texts.notStopped);
});

test("an edit is not answered, for nobody knows whether it is of the last message", async () => {
  const { message_id } = await ann.say("What's the weather in Paris?");
  await rig.control.edit({ chat: ann.chat, message_id, text: "What's the weather in Rome?" });
  await rig.idle();
  expect(await textsOf(ann)).toEqual([expect.stringMatching(/Paris/)]);
});

test("a user who has blocked the bot is found out anew each time", async () => {
  await ann.ask("Hello!");
  await rig.control.addFault({ kind: "blocked", method: "sendMessage", chat: ann.chat, count: 1 });
  await ann.say("Are you there?");
  await rig.idle();
  expect((await ann.ask("What's the weather in Oslo?")).text).toMatch(/Oslo/);
  expect(await ann.heard()).toHaveLength(2);
});
