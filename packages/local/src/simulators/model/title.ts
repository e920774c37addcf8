import type { ChatRequest } from "./types.ts";
import { readable } from "./understanding/text.ts";
import { understand } from "./understanding/understanding.ts";

const MOST_WORDS = 6;
const MOST_CHARACTERS = 48;
const UNTITLED = "New conversation";

/** Whether a request wants a title: it offers no tools and its instructions speak of one. */
export function isTitleRequest({ tools, messages }: ChatRequest): boolean {
  const instructs = messages.some(
    ({ role, text }) => (role === "system" || role === "developer") && /\btitle\b/i.test(text),
  );
  return tools.length === 0 && instructs;
}

/** A title of at most six words made from the user's message. */
export function titleOf({ messages }: ChatRequest): string {
  const message = messages.findLast(({ role }) => role === "user")?.text ?? "";
  return shortened(subject(message) ?? message) || UNTITLED;
}

function subject(message: string): string | undefined {
  const [ask] = understand([message]).asks;
  switch (ask?.topic) {
    case "weather":
      return ask.place === undefined ? "Weather" : `Weather in ${ask.place}`;
    case "time":
    case "date":
      return ask.place === undefined ? "Date and time" : `Time in ${ask.place}`;
    case "holidays":
      return "Public holidays";
    default:
      return undefined;
  }
}

function shortened(text: string): string {
  const words = readable(text)
    .replace(/\p{Cc}+/gu, " ")
    .replace(/^[\s"'«»¿¡.,:;!?-]+|[\s"'«».,:;!?-]+$/gu, "")
    .split(/\s+/)
    .slice(0, MOST_WORDS)
    .join(" ");
  const characters = [...new Intl.Segmenter().segment(words.slice(0, 4 * MOST_CHARACTERS))].map(
    ({ segment }) => segment,
  );
  const title = characters.slice(0, MOST_CHARACTERS).join("").trim();
  return title.charAt(0).toUpperCase() + title.slice(1);
}
