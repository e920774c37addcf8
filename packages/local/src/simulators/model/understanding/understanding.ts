import { findCity, isCity } from "../../cities.ts";
import { type Fact, type Recall, readFact, readRecall } from "./facts.ts";
import { asPlace, findPlace, isQualifier } from "./place.ts";
import { type Clause, clauses, sentences, statements } from "./text.ts";
import { type Topic, topicOf } from "./topic.ts";
import { count, findWhen, type When } from "./when.ts";

export type WeatherAsk = { topic: "weather"; place?: string; when: When };
export type TimeAsk = { topic: "time" | "date"; place?: string; when?: When };
export type HolidaysAsk = { topic: "holidays"; place?: string; when?: When; count?: number };

/** One thing that a message wants. */
export type Ask =
  | WeatherAsk
  | TimeAsk
  | HolidaysAsk
  | { topic: "told"; fact: Fact }
  | { topic: "recall"; recall: Recall };

/** What the conversation so far leaves in mind. */
export type Memory = {
  /** The topic that "and tomorrow?" goes on with. */
  topic?: Topic;
  /** The last topic that "tomorrow" makes sense of. */
  datedTopic?: Topic;
  when?: When | undefined;
  /** The place of the last weather question. */
  weatherPlace?: string;
  /** The place named last, whatever for. */
  place?: string;
  /** The last question lacked a place, so that a bare name answers it. */
  wantsPlace: boolean;
  facts: Map<string, string>;
  notes: string[];
};

/** A question before what it leaves unsaid is filled in. */
type Draft = {
  topic: Topic;
  elliptical: boolean;
  there: boolean;
  place?: string;
  when?: When;
  count?: number;
};

/** What may surround a place or a time in "and what about Paris then?". */
const FILLER = new Set(
  "and what about how also then for so the please is it there be like in at on ok okay hmm well same of".split(
    " ",
  ),
);
const NEXT_HOLIDAYS =
  /\bnext (?:(\d{1,2}|two|three|four|five|six|seven|eight|nine|ten) )?(?:(?:public|bank|national) )?holiday(s?)\b/i;

/** Reads what users said, oldest first: what the last message wants, given all before it. */
export function understand(messages: readonly string[]): { asks: Ask[]; memory: Memory } {
  const memory: Memory = { wantsPlace: false, facts: new Map(), notes: [] };
  let asks: Ask[] = [];
  for (const message of messages) asks = read(message, memory);
  return { asks, memory };
}

function read(message: string, memory: Memory): Ask[] {
  return sentences(message).flatMap(({ text, question }) => {
    const parts = statements(text);
    return parts.flatMap((part, index) =>
      readStatement(part, question && index === parts.length - 1, memory),
    );
  });
}

function readStatement(statement: string, isQuestion: boolean, memory: Memory): Ask[] {
  const fact = readFact(statement, isQuestion);
  if (fact !== undefined) return [told(fact, memory)];
  const recall = readRecall(statement);
  const isKnown = recall !== undefined && recall !== "everything" && memory.facts.has(recall.key);
  if (recall !== undefined && (isKnown || topicOf(statement) === undefined))
    return [{ topic: "recall", recall }];
  return settle(draft(statement, memory), memory);
}

function told(fact: Fact, memory: Memory): Ask {
  if (fact.key === undefined) memory.notes.push(fact.value);
  else memory.facts.set(fact.key, fact.value);
  if (fact.key !== undefined && ["home", "city", "town", "location"].includes(fact.key))
    memory.place = fact.value;
  return { topic: "told", fact };
}

function draft(statement: string, memory: Memory): Draft[] {
  const drafts: Draft[] = [];
  for (const clause of clauses(statement)) {
    const topic = topicOf(clause.text);
    const found =
      topic === undefined ? ellipsis(clause, drafts.at(-1), memory) : question(topic, clause.text);
    if (found !== undefined) drafts.push(found);
  }
  return drafts;
}

/** A clause that says what it is about. */
function question(topic: Topic, clause: string): Draft {
  const next = topic === "holidays" ? NEXT_HOLIDAYS.exec(clause) : null;
  const { when, rest } = findWhen(next === null ? clause : clause.replace(next[0], " "));
  return {
    topic,
    elliptical: false,
    there: /\bthere\b/i.test(clause),
    ...defined({
      place: findPlace(rest)?.name,
      when: when ?? implied(topic, clause),
      count: next === null ? undefined : nextCount(next),
    }),
  };
}

/** A clause that goes on with the topic before it: "and tomorrow", "in Paris", or just narrows the place there. */
function ellipsis(
  { text, afterComma }: Clause,
  before: Draft | undefined,
  memory: Memory,
): Draft | undefined {
  const { when, rest } = findWhen(text);
  const place = findPlace(rest);
  const bare = withoutFiller(rest);
  if (before?.place !== undefined && !/^in\b/i.test(rest) && narrows(bare, afterComma)) {
    before.place = `${before.place}, ${bare}`;
    if (when !== undefined) before.when ??= when;
    return undefined;
  }
  const alone = place !== undefined && withoutFiller(place.rest) === "" ? place.name : undefined;
  const name = alone ?? (isExpected(text, bare, before, memory) ? asPlace(bare) : undefined);
  const going = before?.topic ?? memory.topic;
  if (going !== undefined && name !== undefined) {
    return { topic: going, elliptical: true, there: false, place: name, ...defined({ when }) };
  }
  if (going !== undefined && when !== undefined && bare === "") {
    const dated = going === "time" ? (memory.datedTopic ?? "date") : going;
    return { topic: dated, elliptical: true, there: false, when };
  }
  if (place !== undefined && isCity(place.name)) memory.place = place.name;
  return undefined;
}

/** Whether a bare name, known or not, may be taken for a place here. */
function isExpected(text: string, bare: string, before: Draft | undefined, memory: Memory): boolean {
  if (before?.place !== undefined) return !/^\p{Ll}/u.test(bare) || findCity(bare) !== undefined;
  return memory.wantsPlace || /^(?:\W*(?:and|so)\b)?\W*(?:what|how) about\b/i.test(text);
}

/** "Barcelona, Spain", and after a comma also what is no city of its own: "Portland, Maine". */
function narrows(bare: string, afterComma: boolean): boolean {
  return isQualifier(bare) || (afterComma && /^\p{Lu}\S*$/u.test(bare) && findCity(bare) === undefined);
}

/** Fills in what drafts of one statement leave unsaid: from each other first, then from memory. */
function settle(drafts: readonly Draft[], memory: Memory): Ask[] {
  return drafts.map((each, index): Ask => {
    const before = drafts.slice(0, index).reverse();
    const following = drafts.slice(index + 1);
    const place = each.place ?? [...before, ...following].find((other) => other.place !== undefined)?.place;
    // "in Paris and Madrid tomorrow": the time stands at the end and means both.
    const shared = following.find(
      (other) => other.elliptical && other.place && other.when && other.topic === each.topic,
    );
    const inherited = each.elliptical ? (before[0] === undefined ? memory.when : before[0].when) : undefined;
    const ask = toAsk(each, place, each.when ?? shared?.when ?? inherited, memory);
    remember(ask, memory);
    return ask;
  });
}

function toAsk(each: Draft, place: string | undefined, when: When | undefined, memory: Memory): Ask {
  switch (each.topic) {
    case "weather": {
      const recent = each.elliptical ? (memory.weatherPlace ?? memory.place) : memory.place;
      return { topic: "weather", when: when ?? { kind: "now" }, ...defined({ place: place ?? recent }) };
    }
    case "holidays":
      return { topic: "holidays", ...defined({ place: each.place, when, count: each.count }) };
    default:
      return {
        topic: each.topic,
        ...defined({ place: place ?? (each.there ? memory.place : undefined), when }),
      };
  }
}

function remember(ask: Ask, memory: Memory): void {
  if (ask.topic === "told" || ask.topic === "recall") return;
  if (ask.place !== undefined) memory.place = ask.place;
  memory.wantsPlace = ask.topic === "weather" && ask.place === undefined;
  if (ask.topic === "weather" && ask.place !== undefined) memory.weatherPlace = ask.place;
  memory.topic = ask.topic;
  if (ask.topic === "weather" || ask.topic === "holidays") memory.datedTopic = ask.topic;
  memory.when = ask.when;
}

function nextCount([, number, plural]: RegExpExecArray): number {
  if (number !== undefined) return count(number);
  return plural ? 5 : 1;
}

/** "Will it rain?" means today, and a forecast without a time the next three days. */
function implied(topic: Topic, clause: string): When | undefined {
  if (topic !== "weather") return undefined;
  if (/\bforecast/i.test(clause)) return { kind: "days", from: 0, count: 3 };
  return /\b(?:will|going to|umbrella|jacket|coat)\b/i.test(clause)
    ? { kind: "days", from: 0, count: 1 }
    : undefined;
}

function withoutFiller(text: string): string {
  return text
    .split(" ")
    .filter(
      (word) => !FILLER.has(word.toLowerCase().replace(/[^\p{L}\p{N}]/gu, "")) && /[^\s.,:'"-]/.test(word),
    )
    .join(" ");
}

type Defined<T> = { [K in keyof T]?: Exclude<T[K], undefined> };

function defined<T extends object>(fields: T): Defined<T> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as Defined<T>;
}
