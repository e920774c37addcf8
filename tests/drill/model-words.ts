import type { HostRequest } from "@parley/local/simulators/http";
import type { ScriptedResponse } from "@parley/local/simulators/model";
import type { ChatMessage, ChatRequest } from "@parley/local/simulators/model/types";
import { createChance } from "@parley/local/telegram/chance";
import { named, nameIn } from "./passing.ts";

/** Simulated, in milliseconds. */
const LATENCY_MS = { least: 50, most: 300 };
/** Turns before its own that a reply tells of. */
const TOLD = 2;
const LINES = 150;

/** A message by which everything that comes of it can be told. */
export const messageOf = (turn: string, city: string | undefined) =>
  `${named(turn)} ${city === undefined ? "Hello again." : `What is the weather in ${city}?`}`;

export const latencyOf = (seed: number) => {
  const draw = createChance(seed);
  return ({ body }: HostRequest) =>
    LATENCY_MS.least + (LATENCY_MS.most - LATENCY_MS.least) * draw(`latency ${nameIn(body.slice(-2_000))}`);
};

let said = 0;

/**
 * What the model says, never twice the same: whose message it answers, what it was sent of the turns before that (each with whose answer stood
 * behind it), and what the tool told. Every fifth is too long for one Telegram message.
 */
export function reply({ messages }: ChatRequest): ScriptedResponse {
  const own = messages.findLastIndex(({ role }) => role === "user");
  const text = messages[own]?.text ?? "";
  const turn = nameIn(text) ?? "";
  const city = /weather in (.+)\?/.exec(text)?.[1];
  const told = messages.slice(own).findLast(({ role }) => role === "tool");
  if (city !== undefined && !told) {
    const call = { name: "get_weather", arguments: JSON.stringify({ location: city, days: null }) };
    const tool_calls = [{ id: "call_1", type: "function", function: call }];
    return { message: { role: "assistant", content: null, tool_calls } };
  }
  const before = answeredTurns(messages.slice(0, own)).slice(-TOLD);
  const line = told?.text.split("\n", 1)[0];
  said += 1;
  const words = [
    `Answer ${said} to ${named(turn)} after`,
    ...before.map(([a, b]) => `(${a}=${b})`),
    line,
  ].filter(Boolean);
  const isLong = Number(/\d+$/.exec(turn)?.[0]) % 5 === 4;
  if (!isLong) return words.join(" ");
  const lines = Array.from({ length: LINES }, (_, n) => `${turn} says it at length, in line number ${n}`);
  return `${words.join(" ")}\n\n\`\`\`text\n${lines.join("\n")}\n\`\`\``;
}

/** Each user message with a name, and the name in the answer that follows it. */
function answeredTurns(messages: readonly ChatMessage[]): [string, string | undefined][] {
  return messages.flatMap(({ role, text }, at) => {
    const turn = role === "user" ? nameIn(text) : undefined;
    if (turn === undefined) return [];
    const rest = messages.slice(at + 1);
    const next = rest.findIndex((each) => each.role === "user");
    const answer = rest
      .slice(0, next === -1 ? rest.length : next)
      .findLast((each) => each.role === "assistant");
    return [[turn, answer && nameIn(answer.text)]];
  });
}

/** The reverse of `reply`. */
export function readReply(text: string) {
  const before = [...text.matchAll(/\((c\d+m\d+)=(\w+)\)/g)].map(([, turn, answered]) => ({
    turn,
    answered,
  }));
  return { turn: nameIn(text), before, city: /(?:Weather in |"|no .*called )([^,"(]+)/.exec(text)?.[1] };
}
