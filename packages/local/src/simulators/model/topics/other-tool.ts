import { isObject, type Json } from "../json.ts";
import { fitArguments } from "../tools.ts";
import type { OfferedTool } from "../types.ts";
import { failureOf, type Situation, type Step } from "./step.ts";

const KNOWN = new Set(["get_weather", "get_today_date", "get_holidays"]);
const VERBS = new Set(["get", "list", "find", "fetch", "show"]);

/**
 * A tool that this model knows nothing of is called when a message says every word of its name ("roll two dice" for
 * `roll_dice`), with the message's numbers and quoted words as arguments; its result is quoted as it is.
 */
export function otherToolStep(text: string, { tools }: Situation): Step | undefined {
  const said = new Set(text.toLowerCase().match(/[\p{L}\p{N}]+/gu));
  const tool = [...tools.values()].find(
    ({ name }) => !KNOWN.has(name) && wordsOf(name).every((word) => said.has(word)),
  );
  if (tool === undefined) return undefined;
  return {
    call: { name: tool.name, arguments: fitArguments(tool, guesses(tool, text)) },
    say: (result) => {
      const failure = failureOf(result);
      return failure === undefined ? result.trim() : `${tool.name} failed: ${failure}`;
    },
  };
}

function wordsOf(name: string): string[] {
  const words = name
    .toLowerCase()
    .split(/[_-]+/)
    .filter((word) => word !== "");
  const telling = words.filter((word) => !VERBS.has(word));
  return telling.length > 0 ? telling : words;
}

/** The nth number of the text for the nth numeric argument; for text the first quoted words, else all of them. */
function guesses({ parameters }: OfferedTool, text: string): Json {
  const numbers = (text.match(/\d{1,15}(?:\.\d+)?/g) ?? []).map(Number);
  const quoted = /["“]([^"”]+)["”]/.exec(text)?.[1];
  const properties = isObject(parameters["properties"]) ? parameters["properties"] : {};
  return Object.fromEntries(
    Object.entries(properties).map(([name, schema]) => {
      const numeric = /"(?:integer|number)"/.test(JSON.stringify(schema));
      return [name, numeric ? numbers.shift() : (quoted ?? text)];
    }),
  );
}
