import { randomUUID } from "node:crypto";
import type { Summary } from "@parley/core/assistant/context-window";
import type { SessionMetadata } from "@parley/core/conversation/types";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { allTurns } from "../support/all-turns.ts";
import { type SentRequest, sentTo } from "../support/assistant.ts";
import { MINUTE_MS } from "../support/clock.ts";
import { OWNER, type Rig, startRig } from "../support/rig.ts";
import { type Traffic, trafficOf, wantsReply, wantsSummary } from "../support/traffic.ts";

const TURNS = 500;
const MAX_CONTEXT_TOKENS = 4_000;
const FACT = "My dog is called Laika.";
const QUESTION = "What is my dog called?";

/** A long talk: small talk, weather, facts, and now and then an answer that takes most of the window. */
function messageOf(seq: number): string {
  if (seq === 3) return FACT;
  if (seq === TURNS) return QUESTION;
  if (seq === 40) return "My name is Ada.";
  if (seq % 97 === 0) return `Give me a long answer of 8,000 characters, please [${seq}]`;
  if (seq % 11 === 0) return `What's the weather in Lisbon? [${seq}]`;
  if (seq % 7 === 0) return `I thought of it all day. ${"It would not let me go. ".repeat(20)}[${seq}]`;
  return `Thanks a lot! [${seq}]`;
}

type Turn = { seq: number; traffic: Traffic; tokens: number[]; reply: SentRequest; summaries: string[] };

describe.each(["dynamodb", "mongodb"] as const)("500 turns in one conversation on %s", (store) => {
  const session: SessionMetadata = { platform: "telegram", userId: "user", chatId: randomUUID() };
  const turns: Turn[] = [];
  let rig: Rig;
  let answer: string;
  let summary: Summary | undefined;
  let warnings: unknown[];

  beforeAll(async () => {
    rig = await startRig({ store });
    const worker = rig.worker({ maxContextTokens: MAX_CONTEXT_TOKENS });
    let conversationId = "";
    for (let seq = 1; seq <= TURNS; seq++) {
      const counted = worker.telemetry.counts.length;
      const traffic = await trafficOf(rig, async () => {
        const message = messageOf(seq);
        const turn = { owner: OWNER, session, message, deadline: rig.deadline() };
        const result = await worker.conversations.converse(turn);
        answer = result.reply.text;
        conversationId = result.conversationId;
      });
      const made = rig.model.requests.slice(-traffic.model.requests);
      turns.push({
        seq,
        traffic,
        tokens: worker.telemetry.counts
          .slice(counted)
          .flatMap(({ metric, value }) => (metric === "ModelInputTokens" ? [value] : [])),
        reply: sentTo({ requests: made.filter(wantsReply) })[0] as SentRequest,
        summaries: made.filter(wantsSummary).map(({ body }) => body),
      });
      rig.clock.advance(MINUTE_MS);
    }
    summary = (await worker.store.load(conversationId, 0))?.conversation.summary;
    warnings = worker.telemetry.warnings;
    expect(await allTurns(worker.store, conversationId)).toHaveLength(TURNS);
  }, 300_000);
  afterAll(() => rig?.close());

  test("no request to the model exceeds the limit, by the model's own count", () => {
    const tokens = turns.flatMap((turn) => turn.tokens);
    process.stdout.write(`${store}: ${tokens.length} requests, ${Math.max(...tokens)} tokens at the most\n`);
    expect(tokens.length).toBeGreaterThan(TURNS);
    expect(Math.max(...tokens)).toBeLessThanOrEqual(MAX_CONTEXT_TOKENS);
  });

  test("what was told in turn 3 is answered in turn 500, out of a bounded summary", () => {
    expect(answer).toContain("Laika");
    expect(
      turns
        .at(-1)
        ?.reply.messages.slice(0, -1)
        .map(({ content }) => content),
    ).not.toContain(FACT);
    expect(summary?.text).toContain("Ada");
    expect(summary?.tokens).toBeLessThanOrEqual(1_000);
    expect(warnings).toEqual([]);
  });

  test("each turn is summarised once: a summary an overflow, never two in one", () => {
    const asked = turns.flatMap(({ summaries }) => summaries);
    const overflows = turns.filter(({ summaries }) => summaries.length > 0);
    process.stdout.write(`${store}: ${asked.length} summaries\n`);
    expect(overflows).toHaveLength(asked.length);
    expect(asked.length).toBeLessThanOrEqual(TURNS / 10);
    const numbers = asked.flatMap((body) => [...body.matchAll(/\{\\"user\\":\\".*?(?:\[(\d+)\])?\\"\}/g)]);
    expect(numbers).toHaveLength(summary?.upToSeq as number);
    for (const [index, [, seq]] of numbers.entries())
      if (seq !== undefined) expect(Number(seq)).toBe(index + 1);
  });

  test("what a turn sends begins where the summary ends", () => {
    let without = 0;
    for (const { seq, reply } of turns) {
      const said = reply.messages.filter(({ role }) => role === "user").map(({ content }) => content ?? "");
      expect(said.at(-1)).toBe(messageOf(seq));
      const hasSummary = said[0]?.includes("<conversation_summary>") ?? false;
      const words = hasSummary ? said.slice(1) : said;
      expect(words).toEqual(words.map((_, index) => messageOf(seq - words.length + 1 + index)));
      if (words.length < seq && !hasSummary) without += 1;
    }
    expect(without).toBe(0);
  });

  test("round trips and bytes are flat", () => {
    const small = turns.filter(({ seq, summaries }) => !summaries.length && /^Thanks/.test(messageOf(seq)));
    const shape = ({ traffic: { store, redis, model } }: Turn) => ({
      store: store.byOperation,
      redis: redis.requests,
      model: model.requests,
    });
    const later = small.filter(({ seq }) => seq > 50);
    expect(new Set(later.map((turn) => JSON.stringify(shape(turn)))).size).toBe(1);
    for (const read of [
      ({ traffic }: Turn) => traffic.store.bytes,
      ({ traffic }: Turn) => traffic.model.bytes,
    ]) {
      const most = (from: number, to: number) =>
        Math.max(...small.filter(({ seq }) => seq > from && seq <= to).map(read));
      process.stdout.write(
        `${store}: bytes of turns 1 to 200: ${most(0, 200)}, 301 to 500: ${most(300, 500)}\n`,
      );
      expect(most(300, 500)).toBeLessThan(1.15 * most(0, 200));
    }
  });

  test("a summary costs one request to the store and one to the model", () => {
    const usual = turns.find(
      ({ seq, summaries }) => seq > 1 && !summaries.length && /^Thanks/.test(messageOf(seq)),
    );
    for (const { seq, traffic, summaries } of turns) {
      if (summaries.length === 0 || !/^Thanks/.test(messageOf(seq))) continue;
      expect(traffic.model.requests).toBe((usual?.traffic.model.requests ?? 0) + 1);
      expect(traffic.store.requests).toBe((usual?.traffic.store.requests ?? 0) + 1);
    }
  });
});
