import type { Command } from "./command.ts";
import { localTime, parseCommand, printable, UsageError } from "./command.ts";

/** One conversation with its messages. */
export const show: Command = {
  help: `show <conversation_id>

Prints a conversation and its messages, oldest first.

      --json                print the service's response as it is
`,
  async run(args, api) {
    const { values, positionals } = parseCommand(args, { json: { type: "boolean" } });
    const [id, ...rest] = positionals;
    if (id === undefined || rest.length > 0) throw new UsageError("show takes one conversation's id");
    const { text, json } = await api.get(`/v1/conversations/${encodeURIComponent(id)}`);
    if (values.json) {
      process.stdout.write(`${text}\n`);
      return;
    }
    const conversation = (json["conversation"] ?? {}) as Record<string, unknown>;
    const messages = (conversation["messages"] ?? []) as Record<string, unknown>[];
    const heading = [
      printable(conversation["title"]),
      printable(conversation["id"]),
      localTime(conversation["timestamp"]),
    ];
    process.stdout.write(`${heading.filter(Boolean).join("  ")}\n${messages.map(paragraph).join("")}`);
  },
};

function paragraph({ role, content, timestamp }: Record<string, unknown>): string {
  const speaker = role === "USER" ? "You" : "Assistant";
  return `\n${speaker}, ${localTime(timestamp)}\n${printable(content)}\n`;
}
