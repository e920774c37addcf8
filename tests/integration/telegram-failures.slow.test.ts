import { texts } from "@parley/core/telegram/texts";
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { startGate } from "../support/hold-gate.ts";
import { QUEUE } from "../support/queue.ts";
import { BOT, type Speaker, startTelegramRig, type TelegramRig } from "../support/telegram-rig.ts";

const MENTION = `@${BOT.username}`;
/** The queue's. */
const TIME_SCALE = 40;
/** Hidden for twelve hours: what comes back sooner was told to. */
const NEVER_S = 43_200;
const WAIT = { timeout: 20_000, interval: 20 };

/** On a busy machine. */
vi.setConfig({ testTimeout: 120_000 });

let rig: TelegramRig;
let gate: Awaited<ReturnType<typeof startGate>>;
let ann: Speaker;

beforeAll(async () => {
  rig = await startTelegramRig({
    timeScale: TIME_SCALE,
    workerTimeScale: 1,
    visibilityTimeoutS: NEVER_S,
    // Repetitions are the queue's here: how many an attempt makes itself depends on how many failed just before.
    env: { OPENAI_TIMEOUT_MS: "1000", RETRY_MAX_ATTEMPTS: "0" },
    async between(engines) {
      const { origin } = new URL(engines.model);
      gate = await startGate(origin);
      return { ...engines, model: engines.model.replace(origin, gate.origin) };
    },
  });
  // What is loaded with the first answer takes its time.
  await (await rig.person()).ask("What's the weather in Paris?");
});
afterAll(async () => {
  await rig.close();
  await gate.close();
});
beforeEach(async () => {
  ann = await rig.person({ first_name: "Ann" });
});

const textsOf = async (speaker: Speaker) => (await speaker.heard()).map(({ text }) => text);

/** How often the worker was invoked meanwhile, when all is over. */
async function attemptsAt(work: () => Promise<unknown>): Promise<number> {
  const { invocations } = rig.poller.stats();
  await work();
  await rig.idle();
  return rig.poller.stats().invocations - invocations;
}

/** In a request whose newest message ends so, and not in those that have it for their history. */
const asking = (end: string) => `${end}"}],"tools"`;
const ONE_ATTEMPT = { bodyIncludes: '"tools"', times: 1 };

describe("a failure that may pass", () => {
  test.each([
    ["a model that answers 500", { status: 500 }],
    ["a model that answers 429", { status: 429 }],
    ["a model that never answers", { hang: true }],
    ["a model whose connection breaks", { cut: true }],
  ])("%s is asked again after a while", async (_, fault) => {
    rig.model.inject({ ...ONE_ATTEMPT, ...fault });
    expect(await attemptsAt(() => ann.say("What's the weather in Rome?"))).toBe(2);
    expect(await textsOf(ann)).toEqual([expect.stringMatching(/Rome/)]);
    expect(await rig.turns(ann.chat)).toMatchObject([{ reply: { text: (await textsOf(ann))[0] } }]);
  });

  test("an answer without a word is asked for again", async () => {
    rig.model.script(["", "Here I am."]);
    expect(await attemptsAt(() => ann.say("Where are you?"))).toBe(2);
    expect(await textsOf(ann)).toEqual(["Here I am."]);
  });

  test("a store that fails is waited for", async () => {
    const lift = rig.storeEngine.inject({ kind: "error", times: Number.POSITIVE_INFINITY });
    const { results } = rig.poller.stats();
    await ann.say("What's the weather in Rome?");
    await vi.waitFor(() => expect(rig.poller.stats().results.partial).toBe(results.partial + 1), WAIT);
    lift();
    await rig.idle();
    expect(await textsOf(ann)).toEqual([expect.stringMatching(/Rome/)]);
  });

  test("Telegram's flood wait, longer than the worker lives, is waited for in the queue", async () => {
    rig.model.script(["Part one.\n\n".repeat(500)]);
    const waitS = 130;
    const startedAt = performance.now();
    const flood = { kind: "too_many_requests", method: "sendMessage", retry_after: waitS, count: 1 } as const;
    await rig.control.addFault({ ...flood, chat: ann.chat });
    expect(await attemptsAt(() => ann.say("Tell me."))).toBe(2);
    expect(performance.now() - startedAt).toBeGreaterThan((waitS * 1_000) / TIME_SCALE);
    expect(await ann.heard()).toHaveLength(2);
  });
});

describe("a failure that stays", () => {
  test.each([
    ["no quota", { status: 429, code: "insufficient_quota" }, texts.failed],
    ["too long a context", { status: 400, code: "context_length_exceeded" }, texts.tooLong],
    ["a refused key", { status: 401 }, texts.failed],
    ["a request that the model refuses", { status: 400 }, texts.failed],
  ])("%s is told at once, and nothing of the operator's affairs", async (_, fault, sentence) => {
    rig.model.inject({ ...fault, bodyIncludes: '"tools"', times: 1 });
    expect(await attemptsAt(() => ann.say("What's the weather in Rome?"))).toBe(1);
    expect(await textsOf(ann)).toEqual([sentence]);
    expect(rig.deadLetters()).toEqual([]);
  });
});

describe("a message that fails every time", () => {
  test("is a dead letter after one sentence to the user, and the chat goes on", async () => {
    const lift = rig.model.inject({ status: 500, bodyIncludes: asking("Atlantis?") });
    const before = rig.metric("TelegramDeadLetters");
    const bob = await rig.person();
    // Four receives: three attempts, and one to say so.
    const attempts = await attemptsAt(async () => {
      await ann.say("What's the weather in Atlantis?");
      await ann.say("What's the weather in Rome?");
      expect((await bob.ask("What's the weather in Oslo?")).text).toMatch(/Oslo/);
    });
    lift();
    expect(attempts).toBe(4 + 2);
    expect(await textsOf(ann)).toEqual([texts.failed, expect.stringMatching(/Rome/)]);
    const [failed] = await rig.turns(ann.chat);
    expect(rig.deadLetters()).toEqual([Number(failed?.turnId.split(":").at(-1))]);
    await vi.waitFor(() => expect(rig.metric("TelegramDeadLetters")).toBe(before + 1), WAIT);
    await rig.idle();
    expect(rig.metric("TelegramDeadLetters")).toBe(before + 1);
  });

  test("is forgotten when the user says /stop while it waits for its last attempt", async () => {
    const lift = rig.model.inject({ status: 500, bodyIncludes: asking("Utopia?") });
    const { results } = rig.poller.stats();
    const dead = rig.deadLetters();
    await ann.say("What's the weather in Utopia?");
    await vi.waitFor(() => expect(rig.poller.stats().results.partial).toBe(results.partial + 3), WAIT);
    await ann.ask("/stop");
    await rig.idle();
    lift();
    expect(await textsOf(ann)).toEqual([texts.stopped]);
    expect(rig.deadLetters()).toEqual(dead);
  });

  test("is a dead letter too when the queue's message cannot even be read", async () => {
    const dead = rig.deadLetters();
    const before = rig.metric("TelegramDeadLetters");
    await rig.queue.send("{}", { queue: QUEUE, group: "nobody" });
    await vi.waitFor(() => expect(rig.queue.peek(QUEUE)).toEqual([]), WAIT);
    await vi.waitFor(() => expect(rig.metric("TelegramDeadLetters")).toBe(before + 1), WAIT);
    expect(rig.deadLetters()).toHaveLength(dead.length + 1);
  });
});

describe("a user who blocks the bot", () => {
  test("is left alone until there is something newer", async () => {
    const forbidden = rig.metric("TelegramForbidden");
    const hold = gate.hold("weather in Paris");
    await ann.say("What's the weather in Paris?");
    await hold.reached;
    const { date, message_id } = await ann.say("What's the weather in Rome?");
    // Telegram's dates are in whole seconds.
    await vi.waitFor(() => expect(Math.floor(Date.now() / 1_000)).toBeGreaterThan(date), WAIT);
    await rig.control.block({ chat: ann.chat });
    hold.release();
    await rig.idle();
    expect(await rig.turns(ann.chat)).toHaveLength(1);
    await rig.control.unblock({ chat: ann.chat });
    // An edit of the old message is new.
    await rig.control.edit({ chat: ann.chat, message_id, text: "What's the weather in Lima?" });
    await ann.say("What's the weather in Oslo?");
    await rig.idle();
    expect(await textsOf(ann)).toEqual([expect.stringMatching(/Lima/), expect.stringMatching(/Oslo/)]);
    expect((await rig.turns(ann.chat)).map(({ message }) => message)).toEqual([
      "What's the weather in Paris?",
      "What's the weather in Lima?",
      "What's the weather in Oslo?",
    ]);
    await vi.waitFor(() => expect(rig.metric("TelegramForbidden")).toBe(forbidden + 1), WAIT);
  });
});

describe("a group that becomes a supergroup", () => {
  test("while its message is answered takes the answer and the conversation along", async () => {
    const { id } = await rig.control.createGroup({ type: "group", members: [ann.from] });
    const before = rig.speaker({ chat: id, from: ann.from });
    await before.ask(`${MENTION} My name is Zelda.`);
    const hold = gate.hold("weather in Paris");
    await before.say(`${MENTION} What's the weather in Paris?`);
    await hold.reached;
    const supergroup = await rig.control.migrate({ chat: id });
    hold.release();
    await rig.idle();
    const after = rig.speaker({ chat: supergroup.id, from: ann.from });
    expect(await before.heard()).toHaveLength(1);
    expect(await textsOf(after)).toEqual([expect.stringMatching(/Paris/)]);
    expect((await after.ask(`${MENTION} What is my name?`)).text).toMatch(/Zelda/);
    expect(await rig.turns(id)).toHaveLength(3);
  });

  test("is followed although nothing but the refused answer tells of it", async () => {
    const group = await rig.control.createGroup({ type: "group", members: [ann.from] });
    const supergroup = await rig.control.createGroup({ members: [ann.from] });
    const [before, after] = [group, supergroup].map(({ id }) =>
      rig.speaker({ chat: id, from: ann.from }),
    ) as [Speaker, Speaker];
    await before.ask(`${MENTION} My name is Zelda.`);
    const migrate_to_chat_id = supergroup.id;
    await rig.control.addFault({
      kind: "migrated",
      method: "sendMessage",
      chat: group.id,
      migrate_to_chat_id,
    });
    await before.say(`${MENTION} What's the weather in Paris?`);
    await rig.idle();
    expect(await textsOf(after)).toEqual([expect.stringMatching(/Paris/)]);
    expect((await after.ask(`${MENTION} What is my name?`)).text).toMatch(/Zelda/);
  });
});
