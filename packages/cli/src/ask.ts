import { createInterface } from "node:readline/promises";
import { text } from "node:stream/consumers";
import type { Command } from "./command.ts";
import { parseCommand, printable, UsageError } from "./command.ts";

const CONVERSATION_ID = /^conv_\w+$/;

/** Starts a conversation, or continues the one whose id comes first. */
export const ask: Command = {
  help: `ask [conversation_id] [message...]

Sends the message and prints the reply. Without an id it starts a conversation, whose id is written to standard error.
Without a message it reads standard input, or asks for one on a terminal.

  -c, --conversation <id>   the conversation to continue; every argument is then part of the message
      --json                print the service's response as it is
`,
  async run(args, api) {
    const { values, positionals } = parseCommand(args, {
      conversation: { type: "string", short: "c" },
      json: { type: "boolean" },
    });
    const [first, ...rest] = positionals;
    const leads = values.conversation === undefined && first !== undefined && CONVERSATION_ID.test(first);
    const id = leads ? first : values.conversation;
    const words = leads ? rest : positionals;
    const message = words.length > 0 ? words.join(" ") : await readMessage();
    if (message.trim() === "") throw new UsageError("the message is empty");
    const path = id === undefined ? "" : `/${encodeURIComponent(id)}/messages`;
    const { text: raw, json } = await api.post(`/v1/conversations${path}`, { message });
    process.stdout.write(values.json ? `${raw}\n` : `${printable(json["reply"])}\n`);
    if (id === undefined && !values.json) {
      process.stderr.write(
        `conversation ${printable(json["conversation_id"])}: ${printable(json["title"])}\n`,
      );
    }
  },
};

async function readMessage(): Promise<string> {
  if (!process.stdin.isTTY) return (await text(process.stdin)).trimEnd();
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  // Ctrl-D closes without an answer, which would otherwise never come.
  const closed = new Promise<string>((resolve) => terminal.once("close", () => resolve("")));
  try {
    return await Promise.race([terminal.question("> "), closed]);
  } finally {
    terminal.close();
  }
}
