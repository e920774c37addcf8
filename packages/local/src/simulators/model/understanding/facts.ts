import { foldName } from "../../cities.ts";
import { findPlace } from "./place.ts";

/** Something told: "my name is Ada" is `name` -> `Ada`. Without a key, a note ("remember that ..."). */
export type Fact = { key?: string; value: string };

/** What is asked back: one fact by its key, or everything told. */
export type Recall = { key: string } | "everything";

const LONGEST_VALUE = 200;
const QUESTION =
  /^(?:what|who|where|when|which|why|how|do|does|did|is|are|can|could|will|would|tell|show)\b/i;

const MY = /(?<!\p{L})my ([\p{L}\p{N}][\p{L}\p{M}\p{N}' -]{0,40}?)(?:'s|\s+(?:is|are))\s+(.+)$/iu;
const I_AM =
  /^(?:[Hh]i|[Hh]ello|[Hh]ey)?\s*(?:[Ii] am|[Ii]'m|[Cc]all me)\s+(\p{Lu}[\p{L}\p{M}'-]*(?: \p{Lu}[\p{L}\p{M}'-]*){0,2})$/u;
const I_LIVE = /^(?:i|i'm|i am) (?:live |living |am |currently )*in\s+.+$/i;
const REMEMBER =
  /^(?:please )?(?:(?:can|could) you )?(?:please )?(?:remember|note|don't forget)(?: that|:)?\s+(.+)$/i;

const ASKED = /(?:what|who|where|when|which)(?:'s|s| is| are| was| were)?\s+my\s+(.{1,60})$/i;
const REMIND =
  /\b(?:know|remember|recall|tell me|remind me(?: of)?)\s+(?:what\s+|who\s+|where\s+)?my\s+(.{1,60}?)(?:\s+(?:is|was|are))?$/i;
const EVERYTHING =
  /\bwhat (?:do|can|did) (?:you|i)\b.*\b(?:remember|recall|know about me|tell you|told you)\b/i;

/** The fact that a statement tells; `isQuestion` when it ends with a question mark. */
export function readFact(statement: string, isQuestion: boolean): Fact | undefined {
  const remembered = REMEMBER.exec(statement)?.[1];
  if (remembered !== undefined) {
    if (/^my \S+( \S+){0,3}$/i.test(remembered) && MY.exec(remembered) === null) return undefined;
    return readFact(remembered, false) ?? { value: tidy(remembered) };
  }
  if (isQuestion || QUESTION.test(statement)) return undefined;
  const [, key, value] = MY.exec(statement) ?? [];
  if (key !== undefined && value !== undefined) return { key: normalised(key), value: tidy(value) };
  const name = I_AM.exec(statement)?.[1];
  if (name !== undefined) return { key: "name", value: name };
  const home = I_LIVE.test(statement) ? findPlace(statement)?.name : undefined;
  return home === undefined ? undefined : { key: "home", value: home };
}

export function readRecall(statement: string): Recall | undefined {
  if (/\bwho am i\b/i.test(statement) || /\bwhat am i called\b/i.test(statement)) return { key: "name" };
  if (/\bwhere (?:do i live|am i)\b/i.test(statement)) return { key: "home" };
  const key = (ASKED.exec(statement) ?? REMIND.exec(statement))?.[1];
  if (key !== undefined) return { key: normalised(key) };
  return EVERYTHING.test(statement) ? "everything" : undefined;
}

function normalised(key: string): string {
  return foldName(key)
    .replace(/\bfavorite\b/g, "favourite")
    .replace(/ (?:again|called|then|please)$/, "");
}

function tidy(value: string): string {
  return value.slice(0, LONGEST_VALUE).toWellFormed().trim();
}
