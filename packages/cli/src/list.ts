import type { Command } from "./command.ts";
import { localTime, parseCommand, printable } from "./command.ts";

/** The conversations of this key, newest first. */
export const list: Command = {
  help: `list

Prints id, time and title of conversations, newest first, a page of them.

      --page-size <n>       how many at once
      --page-token <token>  the page that an earlier list named
      --all                 every page
      --json                print the service's responses as they are, one line a page
`,
  async run(args, api) {
    const { values } = parseCommand(args, {
      "page-size": { type: "string" },
      "page-token": { type: "string" },
      all: { type: "boolean" },
      json: { type: "boolean" },
    });
    let token = values["page-token"];
    let count = 0;
    do {
      const query = { page_size: values["page-size"], page_token: token };
      const { text, json } = await api.get("/v1/conversations", query);
      const conversations = (json["conversations"] ?? []) as Record<string, unknown>[];
      process.stdout.write(values.json ? `${text}\n` : conversations.map(row).join(""));
      count += conversations.length;
      token = typeof json["next_page_token"] === "string" ? json["next_page_token"] : undefined;
    } while (values.all && token);
    if (values.json) return;
    if (count === 0) process.stderr.write("no conversations\n");
    if (token) process.stderr.write(`more with --all, or with --page-token ${printable(token)}\n`);
  },
};

function row({ id, title, timestamp }: Record<string, unknown>): string {
  return `${printable(id)}  ${localTime(timestamp)}  ${printable(title).replace(/\s+/g, " ")}\n`;
}
