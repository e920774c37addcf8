import { readFile } from "node:fs/promises";
import { text } from "node:stream/consumers";
import { type PromptStore, parsePrompts } from "@parley/core/assistant/prompt-store";
import { prompts as builtIn } from "@parley/core/assistant/prompts";

const NONE = "no prompts are stored: the built-in ones are in force";

/** `npm run store -- prompt show|set|reset`. @param file `-` for standard input */
export async function runPrompt(store: PromptStore, action: string, file: string | undefined): Promise<void> {
  switch (action) {
    case "show": {
      const stored = await store.read();
      if (stored === undefined) {
        const platforms = Object.fromEntries(Object.entries(builtIn).map(([name, { text }]) => [name, text]));
        process.stderr.write(`${NONE}\n`);
        // In the form that `set` takes, to begin with.
        process.stdout.write(`${JSON.stringify({ version: "built-in", platforms }, null, 2)}\n`);
        return;
      }
      process.stdout.write(stored.endsWith("\n") ? stored : `${stored}\n`);
      check(stored);
      return;
    }
    case "set": {
      const json = await (file === "-" ? text(process.stdin) : readFile(file as string, "utf8"));
      const { version, platforms = {}, default: others } = check(json);
      await store.write(json);
      const named = [...Object.keys(platforms), ...(others === undefined ? [] : ["all others"])].join(", ");
      process.stdout.write(`prompts ${version} for ${named}: in force within five minutes\n`);
      return;
    }
    case "reset":
      await store.reset();
      process.stdout.write(`${NONE} within five minutes\n`);
  }
}

function check(json: string) {
  try {
    return parsePrompts(json);
  } catch (error) {
    throw new Error(`the prompts cannot be used: ${(error as Error).message}`);
  }
}
