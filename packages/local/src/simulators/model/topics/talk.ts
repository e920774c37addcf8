import type { Fact, Recall } from "../understanding/facts.ts";
import type { Memory } from "../understanding/understanding.ts";
import { type Situation, type Step, words } from "./step.ts";

const OFFLINE = "I am the offline model; set OPENAI_API_KEY for a real one.";

const SKILLS: readonly (readonly [tool: string, skill: string])[] = [
  ["get_weather", "the weather and its forecast"],
  ["get_today_date", "the time and date in a place"],
  ["get_holidays", "public holidays"],
];

/** Small talk, answered for what it is: by a program without a language model. */
export function talkStep(text: string, { tools }: Situation): Step {
  const skills = SKILLS.filter(([tool]) => tools.has(tool)).map(([, skill]) => skill);
  const offer = `I understand simple questions about ${[...skills, "what you have told me"].join(", ")}.`;
  return words(`${opening(text)}${OFFLINE} ${offer}`);
}

function opening(text: string): string {
  if (/^\W*(?:hi|hello|hey|good (?:morning|afternoon|evening)|hola)\b/i.test(text)) return "Hello! ";
  if (/\bthank(?:s| you)\b/i.test(text)) return "You are welcome. ";
  if (/^\W*(?:bye|goodbye|good night|see you)\b/i.test(text)) return "Goodbye! ";
  return "";
}

export function toldStep({ key, value }: Fact): Step {
  if (key === undefined) return words(`Noted: ${value}.`);
  return words(key === "name" ? `Nice to meet you, ${value}.` : `Noted: your ${key} is ${value}.`);
}

/** Answers from what the messages of this request say, and from nothing else. */
export function recallStep(recall: Recall, { facts, notes }: Memory): Step {
  if (recall !== "everything") {
    const value = facts.get(recall.key);
    if (value === undefined)
      return words(`You have not told me your ${recall.key}, as far as I can see this conversation.`);
    return words(recall.key === "home" ? `You are in ${value}.` : `Your ${recall.key} is ${value}.`);
  }
  const all = [
    ...[...facts].map(([key, value]) => `- your ${key} is ${value}`),
    ...notes.map((note) => `- ${note}`),
  ];
  return words(
    all.length === 0
      ? "You have not told me anything to remember yet."
      : `You have told me:\n${all.join("\n")}`,
  );
}
