import { findCity, foldName, isCountry, isKnownName, isRegion } from "../../cities.ts";

export type FoundPlace = { name: string; rest: string };

const COORDINATES = /[-+]?\d{1,2}(?:\.\d+)?\s*,\s*[-+]?\d{1,3}(?:\.\d+)?/;
const PREPOSITION = /(?<![\p{L}\p{N}])(in|at|near|around|for)\s+/giu;
const QUOTED = /^"([^"]{1,200})"/;
const LONGEST = 200;
const MOST_WORDS = 8;
const KNOWN_NAME_WORDS = 4;
const WORDS_LOOKED_AT = 200;
const PREPOSITIONS_LOOKED_AT = 20;
/** In lower case these are words first and places second. */
const WORDS_FIRST = new Set(["nice", "cork", "us", "turkey", "jordan"]);

/** Words that no place's name goes past. */
const END = new Set(
  (
    "today tomorrow tonight now right currently please this next on for at in during over like be is are was will " +
    "going look looking with it there later again thanks thank as by from to if because when while so than i you we " +
    "he she they do does did have has weather forecast temperature time date holiday holidays my your his her our"
  ).split(" "),
);

/** What follows a preposition and is no place. */
const NOWHERE = new Set(
  (
    "the morning afternoon evening night moment future meantime week month year day days hour hours minute area city " +
    "town world country place region here home general particular celsius fahrenheit english detail short case me us " +
    "him them a an all once least last first some any what that which how where who not doing something nothing " +
    "everything sure ok okay"
  ).split(" "),
);

/** The first place named in a clause: after a preposition, as coordinates, or known wherever it stands. */
export function findPlace(clause: string): FoundPlace | undefined {
  const coordinates = COORDINATES.exec(clause);
  if (coordinates)
    return without(clause, coordinates[0].replace(/\s/g, ""), coordinates.index, coordinates[0].length);
  return afterPreposition(clause) ?? knownAnywhere(clause);
}

/** The whole of a short phrase as a place, as in an answer to "Which place?"; `undefined` for small talk. */
export function asPlace(phrase: string): string | undefined {
  const name = tidy(phrase);
  const words = name.toLowerCase().split(" ");
  const plain = words.every((word) => !END.has(word) && !NOWHERE.has(word));
  return name !== "" && /\p{L}/u.test(name) && words.length <= 4 && plain && !SMALL_TALK.test(name)
    ? name
    : undefined;
}

const SMALL_TALK =
  /^(?:yes|no|yeah|nope|thanks|thank|hi|hello|hey|bye|and|or|sorry|never|forget|nothing|none|dunno)\b/i;

/** Whether a phrase only narrows a place named before it: "Spain", "Catalonia". */
export function isQualifier(phrase: string): boolean {
  return isCountry(phrase) || (isRegion(phrase) && findCity(phrase) === undefined);
}

/** Of all that follow prepositions the first known place, else the first after "in" and its like, else after "for". */
function afterPreposition(clause: string): FoundPlace | undefined {
  const found = [...clause.matchAll(PREPOSITION)].slice(0, PREPOSITIONS_LOOKED_AT).flatMap((match) => {
    const candidate = placeAt(clause, match.index, match[0].length);
    return candidate === undefined ? [] : [{ ...candidate, weak: match[1]?.toLowerCase() === "for" }];
  });
  return (
    found.find(({ name }) => findCity(name) !== undefined) ?? found.find(({ weak }) => !weak) ?? found[0]
  );
}

function placeAt(clause: string, index: number, preposition: number): FoundPlace | undefined {
  const tail = clause.slice(index + preposition, index + preposition + 2 * LONGEST);
  const quoted = QUOTED.exec(tail);
  const said = quoted?.[1] ?? leadingName(tail);
  const name = knownHead(tidy(said)) ?? tidy(said);
  const [first = "the"] = name
    .toLowerCase()
    .split(" ")
    .filter((word) => word !== "the");
  if (name === "" || first === "the" || NOWHERE.has(first)) return undefined;
  const length = quoted?.[0].length ?? Math.max(said.indexOf(name), 0) + name.length;
  return without(clause, canonical(name), index, preposition + length);
}

/** The words of `tail` up to one that ends a name. */
function leadingName(tail: string): string {
  const words: string[] = [];
  for (const word of tail.split(" ")) {
    if (words.length === MOST_WORDS || END.has(word.toLowerCase().replace(/[^\p{L}]/gu, ""))) break;
    words.push(word);
  }
  return words.join(" ");
}

/** Of "paris looking", "paris": a known city at the start, when what follows is no name. */
function knownHead(phrase: string): string | undefined {
  if (findCity(phrase) !== undefined) return undefined;
  const words = phrase.split(" ");
  for (let length = Math.min(words.length - 1, KNOWN_NAME_WORDS); length > 0; length -= 1) {
    const head = words.slice(0, length).join(" ");
    if (findCity(head) !== undefined && words.slice(length).every((word) => /^\p{Ll}/u.test(word)))
      return head;
  }
  return undefined;
}

function knownAnywhere(clause: string): FoundPlace | undefined {
  const words = [...clause.matchAll(/[^\s,;:!?()"]+/g)].slice(0, WORDS_LOOKED_AT).map((match) => ({
    index: match.index,
    end: match.index + match[0].length,
    said: match[0].replace(/'s$/i, ""),
  }));
  const folded = words.map(({ said }) => (WORDS_FIRST.has(said) ? "" : foldName(said)));
  for (let length = KNOWN_NAME_WORDS; length > 0; length -= 1) {
    for (let index = 0; index + length <= words.length; index += 1) {
      const phrase = words.slice(index, index + length);
      const first = phrase[0];
      const last = phrase.at(-1);
      if (first === undefined || last === undefined) continue;
      if (!isKnownName(folded.slice(index, index + length).join(" "))) continue;
      const name = canonical(phrase.map(({ said }) => said).join(" "));
      return without(clause, name, first.index, last.end - first.index);
    }
  }
  return undefined;
}

/** As it was written, but "the Netherlands" without its article and "barcelona" or "BARCELONA" as Barcelona. */
function canonical(said: string): string {
  const bare = said.replace(/^the /i, "");
  const name = findCity(said) === undefined && findCity(bare) !== undefined ? bare : said;
  const city = findCity(name);
  const unshaped = name === name.toLowerCase() || name === name.toUpperCase();
  return city !== undefined && unshaped && foldName(city.name) === foldName(name) ? city.name : name;
}

function tidy(name: string): string {
  return name
    .slice(0, LONGEST)
    .toWellFormed()
    .replace(/^[\s"'(]+|[\s"'),.:!?]+$/g, "")
    .replace(/'s$/i, "")
    .trim();
}

function without(clause: string, name: string, index: number, length: number): FoundPlace {
  return { name, rest: `${clause.slice(0, index)} ${clause.slice(index + length)}`.trim() };
}
