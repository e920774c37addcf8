import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { loadSettings } from "../env.ts";
import { StoreInUseError } from "./opened-store.ts";
import { openStore } from "./part.ts";

const ROOT = fileURLToPath(new URL("../../../../", import.meta.url));

const HELP = `Where Parley keeps conversations: npm run store -- <command>

  migrate    makes what is missing of the store that the settings name, and leaves the rest as it is:
             STORE=mongodb, the collections' indexes; otherwise, the DynamoDB table

      --settings <file>  instead of .env, whose settings the environment overrides
      --data <folder>    instead of .local, for a store on this machine
  -h, --help

Settings: STORE, MONGODB_URI, MONGODB_DATABASE; CONVERSATIONS_TABLE, DYNAMODB, AWS_ENDPOINT_URL_DYNAMODB, AWS_REGION;
.env.example explains them. Without MONGODB_URI or DYNAMODB=aws the store is the one on this machine.
Exit codes: 0 done, 1 not done, 2 wrong usage.
`;

class UsageError extends Error {}

async function main(argv: string[]): Promise<number> {
  const { values, positionals } = parse(argv);
  if (values.help) {
    process.stdout.write(HELP);
    return 0;
  }
  const [command, ...rest] = positionals;
  if (command === undefined) throw new UsageError("a command is missing");
  if (command !== "migrate") throw new UsageError(`there is no command ${command}`);
  if (rest.length > 0) throw new UsageError(`this is too much: ${rest.join(" ")}`);
  const settings = await loadSettings(
    values.settings === undefined ? join(ROOT, ".env") : resolve(values.settings),
    process.env,
  );
  // AWS's SDK finds credentials there, and a .env file may hold them.
  Object.assign(process.env, settings);
  return migrate(settings, values.data === undefined ? join(ROOT, ".local") : resolve(values.data));
}

async function migrate(settings: Record<string, string>, dataDir: string): Promise<number> {
  const say = (line: string) => void process.stdout.write(`${line}\n`);
  try {
    const store = await openStore(settings, dataDir);
    try {
      say(store.summary.what);
      await store.migrate((line) => say(`  ${line}`));
    } finally {
      await store.close();
    }
  } catch (error) {
    if (!(error instanceof StoreInUseError)) throw error;
    say(`${error.message}, which has made it ready`);
  }
  return 0;
}

function parse(args: string[]) {
  try {
    return parseArgs({
      args,
      allowPositionals: true,
      options: {
        settings: { type: "string" },
        data: { type: "string" },
        help: { type: "boolean", short: "h" },
      },
    });
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}

try {
  process.exit(await main(process.argv.slice(3)));
} catch (error) {
  process.stderr.write(`store: ${error instanceof Error ? error.message : String(error)}\n`);
  if (error instanceof UsageError) process.stderr.write("npm run store -- --help lists the commands\n");
  process.exit(error instanceof UsageError ? 2 : 1);
}
