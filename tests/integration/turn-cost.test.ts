import { randomUUID } from "node:crypto";
import type { SessionMetadata } from "@parley/core/conversation/types";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { OWNER, type Rig, startRig } from "../support/rig.ts";
import { conversationOf, replyOf } from "../support/stored-turns.ts";
import { type Traffic, trafficOf } from "../support/traffic.ts";

/** What one turn costs, counted at the engines' sockets, while its conversation grows; between two of its summaries. */

const session: SessionMetadata = { platform: "telegram", userId: "user", chatId: randomUUID() };
const cities: Record<number, string> = { 2: "Lisbon", 50: "Madrid", 500: "Valencia" };
const TURNS = Object.keys(cities).map(Number);

/** Turns of the sizes that one meets: a question, a tool call in every third, some sentences of reply. */
const typical = {
  message: "What is the weather like over there, and should I take an umbrella with me tonight?",
  replyTo: (seq: number) =>
    replyOf("It is a mild day with some clouds, and the evening stays dry. ".repeat(2 + (seq % 4)), {
      steps: seq % 3 === 0 ? replyOf("").steps : [],
      tokens: seq % 3 === 0 ? 150 : 90,
    }),
};

const summaryTo = (upToSeq: number) => ({
  text: "- my dog is called Laika\n".repeat(20),
  upToSeq,
  tokens: 200,
});
/** Turns after the last summary; fewer than make the next one due. */
const UNSUMMARISED = 10;

/** Asked one after the other from each of TURNS on. */
const asks = ["small talk by session", "small talk by conversation id", "weather that no cache has"] as const;
type Ask = (typeof asks)[number];

describe.each(["dynamodb", "mongodb"] as const)("on %s", (kind) => {
  let rig: Rig;
  const costs = new Map<Ask, Traffic[]>(asks.map((what) => [what, []]));

  beforeAll(async () => {
    rig = await startRig({ store: kind });
    const { conversations, store: turns } = rig.worker();
    const say = (message: string, chat: SessionMetadata = session) =>
      conversations.converse({ owner: OWNER, session: chat, message, deadline: rig.deadline() });

    // An instance that has its connections and scripts, and a conversation that has its title.
    await say("What's the weather in Paris?", { ...session, chatId: "another" });
    const { conversationId } = await say("Hello!");
    const perform = (what: Ask, turn: number) => {
      if (what === "small talk by session") return say("Thanks a lot!");
      if (what === "weather that no cache has") return say(`What's the weather in ${cities[turn]}?`);
      const deadline = rig.deadline();
      return conversations.continue({ owner: OWNER, conversationId, message: "Thanks a lot!", deadline });
    };

    let from = 2;
    for (const turn of TURNS) {
      const now = rig.clock.now();
      await conversationOf(turns, turn - 1, { ...typical, conversationId, from, owner: OWNER, now });
      if (turn > UNSUMMARISED) await turns.summarise(conversationId, summaryTo(turn - 1 - UNSUMMARISED));
      for (const what of asks) costs.get(what)?.push(await trafficOf(rig, () => perform(what, turn)));
      from = turn + asks.length;
      expect((await turns.load(conversationId, 0))?.conversation.turnCount).toBe(from - 1);
    }
  }, 60_000);
  afterAll(() => rig?.close());

  test.each(asks)("%s: as many round trips at turn 500 as at turn 2, and bounded bytes", (what) => {
    const [second, fiftieth, last] = costs.get(what) as [Traffic, Traffic, Traffic];
    for (const [index, { store, redis, model }] of [second, fiftieth, last].entries()) {
      process.stdout.write(
        `${kind}: ${what}, turn ${(TURNS[index] ?? 0) + asks.indexOf(what)}: store ${store.requests} requests ${store.bytes} bytes, Redis ${redis.requests} requests ${redis.bytes} bytes, model ${model.requests} requests ${model.bytes} bytes\n`,
      );
    }
    for (const later of [fiftieth, last]) {
      expect(later.store.byOperation).toEqual(second.store.byOperation);
      expect(later.redis.requests).toBe(second.redis.requests);
      expect(later.model.requests).toBe(second.model.requests);
      expect(later.weather.requests).toBe(second.weather.requests);
      expect(later.redis.bytes).toBeLessThan(1.05 * second.redis.bytes + 64);
    }
    // Past the window's length nothing grows any more.
    expect(last.store.bytes).toBeLessThan(1.05 * fiftieth.store.bytes);
    expect(last.model.bytes).toBeLessThan(1.05 * fiftieth.model.bytes);
    expect(last.store.bytes).toBeLessThan(64 * 1024);
  });
});
