import type { Utterance } from "./completion.ts";
import { isObject, type Json } from "./json.ts";
import { isSummaryRequest, summaryOf, told } from "./summary.ts";
import { isTitleRequest, titleOf } from "./title.ts";
import { essayStep } from "./topics/essay.ts";
import { holidaysStep } from "./topics/holidays.ts";
import { otherToolStep } from "./topics/other-tool.ts";
import type { Situation, Step } from "./topics/step.ts";
import { recallStep, talkStep, toldStep } from "./topics/talk.ts";
import { timeStep } from "./topics/time.ts";
import { weatherSteps } from "./topics/weather.ts";
import type { ChatMessage, ChatRequest } from "./types.ts";
import { readable } from "./understanding/text.ts";
import { type Ask, type Memory, understand, type WeatherAsk } from "./understanding/understanding.ts";

/** User messages beyond this many are not looked at, so that the longest history stays cheap. */
const MOST_MESSAGES = 100;

/**
 * What the model says next. It keeps nothing between requests: the last user message is planned anew each time,
 * and calls whose results are in the request already are not made again.
 */
export function respond(request: ChatRequest, now: Date): Utterance {
  if (isTitleRequest(request)) return { text: titleOf(request) };
  if (isSummaryRequest(request)) return { text: summaryOf(request) };
  const { messages } = request;
  const asked = messages.findLastIndex(({ role }) => role === "user");
  const tools = new Map(request.tools.map((tool) => [tool.name, tool]));
  const steps = plan(messages.slice(0, asked + 1), { tools, now });
  const results = resultsOf(messages.slice(asked + 1));
  const missing = new Map(
    steps.flatMap(({ call }) =>
      call !== undefined && !results.has(keyOf(call)) ? [[keyOf(call), call] as const] : [],
    ),
  );
  const calls = [...missing.values()];
  if (calls.length > 0 && request.mayCallTools)
    return { calls: request.parallelToolCalls ? calls : calls.slice(0, 1) };
  const answers = steps.map(({ call, say }) =>
    say(call === undefined ? "" : (results.get(keyOf(call)) ?? "")),
  );
  return { text: [...new Set(answers)].join("\n\n") };
}

function plan(messages: readonly ChatMessage[], situation: Situation): Step[] {
  const said = messages.filter(({ role }) => role === "user").map(({ text }) => text);
  const last = readable(said.at(-1) ?? "");
  const before = said.slice(0, -MOST_MESSAGES).filter((text) => told(text) !== undefined);
  const heard = [...before, ...said.slice(-MOST_MESSAGES)].flatMap((text) => told(text) ?? [text]);
  const { asks, memory } = understand(heard);
  const weather = weatherSteps(
    asks.filter((ask) => ask.topic === "weather"),
    situation,
  );
  const steps = asks.map((ask) =>
    ask.topic === "weather" ? weather.get(ask) : stepFor(ask, memory, situation),
  );
  const known = [...steps, essayStep(last), otherToolStep(last, situation)].filter(
    (step) => step !== undefined,
  );
  return known.length > 0 ? known : [talkStep(last, situation)];
}

function stepFor(ask: Exclude<Ask, WeatherAsk>, memory: Memory, situation: Situation): Step {
  switch (ask.topic) {
    case "time":
    case "date":
      return timeStep(ask, situation);
    case "holidays":
      return holidaysStep(ask, situation);
    case "told":
      return toldStep(ask.fact);
    case "recall":
      return recallStep(ask.recall, memory);
  }
}

/** Results of the calls made for the last question, by what was called. */
function resultsOf(messages: readonly ChatMessage[]): Map<string, string> {
  const keys = new Map<string, string>();
  const results = new Map<string, string>();
  for (const { toolCalls, toolCallId, text } of messages) {
    for (const { id, name, arguments: args } of toolCalls)
      keys.set(id, keyOf({ name, arguments: parsed(args) }));
    const key = toolCallId === undefined ? undefined : keys.get(toolCallId);
    if (key !== undefined) results.set(key, text);
  }
  return results;
}

/** The same whatever order the arguments are in. */
function keyOf(call: { name: string; arguments: Json }): string {
  const sorted = Object.entries(call.arguments).sort(([a], [b]) => (a < b ? -1 : 1));
  return JSON.stringify([call.name, sorted]);
}

function parsed(args: string): Json {
  try {
    const value: unknown = JSON.parse(args);
    return isObject(value) ? value : {};
  } catch {
    return {};
  }
}
