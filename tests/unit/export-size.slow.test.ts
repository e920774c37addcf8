import { Conversations } from "@parley/core/conversation/conversations";
import type { Conversation, Turn } from "@parley/core/conversation/types";
import { isAppError } from "@parley/core/error";
import { Deadline } from "@parley/core/resilience/deadline";
import { conversationBody, messageBody } from "@parley/functions/http/responses";
import { expect, test } from "vitest";

/** Lambda's, on what a function returns: https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html */
const MAX_RESPONSE_BYTES = 6_291_556;
const MESSAGE_BYTES = 16 * 1024;

const id = "conv_01m81xesxph6nrc2e9qzxpy9wx";
const head: Conversation = { id, owner: "ada", platform: "api", turnCount: 1, createdAt: 0, lastActivity: 0 };
const usage = { input: 1, output: 1, cached: 0 };
const reply = { steps: [], usage, tokens: 1, model: "m", promptVersion: "1", at: 1_795_366_124_607 };

function turnOf(seq: number, message: string): Turn {
  const turn = { conversationId: id, seq, turnId: "t", digest: "d", message, createdAt: reply.at };
  const messageId = "msg_01m822hz1zyg6k1zg0qghqxc3m";
  return { ...turn, messageId, reply: { ...reply, text: message, messageId } };
}

/** The size of what the function returns for so many turns, undefined when that is refused; and the turns it read. */
async function exported(count: number, message: string): Promise<{ size?: number; read: number }> {
  let read = 0;
  const store = {
    load: async () => ({ conversation: head, turns: [] }),
    turnsAfter: async (_id: string, seq: number, limit: number) => {
      const length = Math.min(limit, count - seq);
      read += length;
      const turns = Array.from({ length }, (_, index) => turnOf(seq + index + 1, message));
      return { turns, more: seq + length < count };
    },
  };
  const conversations = new Conversations({ store } as never);
  try {
    const { conversation, messages } = await conversations.export("ada", id, new Deadline(20_000));
    const body = JSON.stringify({ ...conversationBody(conversation), messages: messages.map(messageBody) });
    return { size: Buffer.byteLength(JSON.stringify({ statusCode: 200, headers: {}, body })), read };
  } catch (error) {
    expect(isAppError(error, "out_of_range")).toBe(true);
    return { read };
  }
}

test.each([
  ["of a character", "x"],
  ["of words", "What's the weather in Barcelona?"],
  ["long", "x".repeat(MESSAGE_BYTES)],
  ["of quotes", '"'.repeat(MESSAGE_BYTES)],
  ["of control characters", "\u0001".repeat(MESSAGE_BYTES)],
  ["of emoji", "🐕".repeat(MESSAGE_BYTES / 4)],
])(
  "the largest export that is not refused fits into a response, and is not small: messages %s",
  async (_what, message) => {
    let { read: refused } = await exported(Number.POSITIVE_INFINITY, message);
    let fits = 0;
    let largest = 0;
    while (refused - fits > 1) {
      // What is refused is so at the last page that was read.
      const count = Math.max(refused - 50, Math.ceil((fits + refused) / 2));
      const { size } = await exported(count, message);
      if (size === undefined) refused = count;
      else [fits, largest] = [count, size];
    }
    expect(largest).toBeLessThanOrEqual(MAX_RESPONSE_BYTES);
    expect(largest).toBeGreaterThan(3_500_000);
  },
);
