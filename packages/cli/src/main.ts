import { createApi, ServiceError, UnreachableError } from "./api.ts";
import { ask } from "./ask.ts";
import type { Command } from "./command.ts";
import { printable, UsageError } from "./command.ts";
import { list } from "./list.ts";
import { show } from "./show.ts";

const DEFAULT_URL = "http://127.0.0.1:3000";

const commands = new Map<string, Command>([
  ["ask", ask],
  ["list", list],
  ["show", show],
]);

const HELP = `Talks to a Parley service.

  ask [conversation_id] [message...]   ask something, in a new conversation or one that is named
  list                                 list conversations, newest first
  show <conversation_id>               show a conversation with its messages

"<command> --help" says more. With npm: npm run cli -- ask "What's the weather in Barcelona?"

Environment: API_URL, the service's address (default ${DEFAULT_URL}); API_KEY, sent as X-API-Key.
Exit codes: 0 done, 1 the service answered with an error, 2 wrong usage, 3 the service cannot be reached.
`;

async function main([name, ...args]: string[]): Promise<void> {
  if (name === undefined || name === "--help" || name === "-h" || name === "help") {
    if (name === undefined) throw new UsageError("a command is missing: ask, list or show");
    process.stdout.write(HELP);
    return;
  }
  const command = commands.get(name);
  if (command === undefined)
    throw new UsageError(`there is no command ${name}; the commands are ask, list and show`);
  const options = args.includes("--") ? args.slice(0, args.indexOf("--")) : args;
  if (options.includes("--help") || options.includes("-h")) {
    process.stdout.write(command.help);
    return;
  }
  const url = process.env["API_URL"] || DEFAULT_URL;
  const key = process.env["API_KEY"] || undefined;
  if (!URL.canParse(url) || !/^https?:/.test(url))
    throw new UsageError(`API_URL is not an http(s) address: ${url}`);
  await command.run(args, createApi({ url, key })).catch((error: unknown) => {
    // Scripts that asked for the raw response get the error's, too.
    if (error instanceof ServiceError && options.includes("--json")) process.stdout.write(`${error.body}\n`);
    throw error;
  });
}

function exitCodeOf(error: unknown): number {
  if (error instanceof UsageError) return 2;
  return error instanceof UnreachableError ? 3 : 1;
}

// A reader that has seen enough (head) is no error.
process.stdout.on("error", () => process.exit(0));
try {
  await main(process.argv.slice(2));
} catch (error) {
  const hint = error instanceof UsageError ? " (see --help)" : "";
  process.stderr.write(`${printable(error instanceof Error ? error.message : String(error))}${hint}\n`);
  process.exitCode = exitCodeOf(error);
}
