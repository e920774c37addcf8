import { commonOptions, dataDirOf, exitWith, parse, settingsFileOf, UsageError } from "../command-line.ts";
import { loadSettings, type Settings } from "../env.ts";
import { runForget } from "./forget-cli.ts";
import { type OpenedStore, StoreInUseError } from "./opened-store.ts";
import { openStore } from "./part.ts";
import { runPrompt } from "./prompt-cli.ts";

const HELP = `Where Parley keeps conversations: npm run store -- <command>

  migrate    makes what is missing of the store that the settings name, and leaves the rest as it is:
             STORE=mongodb, the collections' indexes; otherwise, the DynamoDB table

  forget --platform <name> --user <id>
             erases a user of a platform (telegram, or what clients name in session_metadata): the conversations that
             they began, with everything in them, what they said in those of others, and what leads there: idempotency
             keys, chats, answers on their way, keys in Redis. What they said before and still waits in a queue is
             dropped. Looks through the whole table on DynamoDB; may be repeated
      --dry-run          counts, and changes nothing
      --from <position>  goes on where an interrupted run got to
      --without-redis    leaves Redis out; what is there of a user ends by itself within 48 hours, titles excepted

  prompt show           prints the stored prompts, or the built-in ones in the same form
  prompt set <file>     stores prompts in place of the built-in ones ("-": standard input), once they are found valid:
                        { "version": "2", "default": "...", "platforms": { "telegram": "..." } }
  prompt reset          goes back to the built-in ones

      --settings <file>  instead of .env, whose settings the environment overrides
      --data <folder>    instead of .local, for a store on this machine
  -h, --help

Settings: STORE, MONGODB_URI, MONGODB_DATABASE; CONVERSATIONS_TABLE, DYNAMODB, AWS_ENDPOINT_URL_DYNAMODB, AWS_REGION;
for forget also UPSTASH_REDIS_REST_URL, UPSTASH_REDIS_REST_TOKEN, REDIS_URL and OPENAI_MODEL, as the functions have it;
.env.example explains them. Without MONGODB_URI or DYNAMODB=aws the store is the one on this machine.
Exit codes: 0 done, 1 not done, 2 wrong usage.
`;

const OPTIONS = {
  ...commonOptions,
  platform: { type: "string" },
  user: { type: "string" },
  "dry-run": { type: "boolean" },
  from: { type: "string" },
  "without-redis": { type: "boolean" },
} as const;

type Values = ReturnType<typeof parse<typeof OPTIONS>>["values"];
type Work = (store: OpenedStore, settings: Settings) => Promise<void>;

const say = (line: string) => void process.stdout.write(`${line}\n`);

async function main(argv: string[]): Promise<number> {
  const { values, positionals } = parse(argv, OPTIONS);
  if (values.help) {
    process.stdout.write(HELP);
    return 0;
  }
  const [command, ...rest] = positionals;
  const work = workOf(command, rest, values);
  const settings = await loadSettings(settingsFileOf(values), process.env);
  // AWS's SDK finds credentials there, and a .env file may hold them.
  Object.assign(process.env, settings);
  let store: OpenedStore;
  try {
    store = await openStore(settings, dataDirOf(values));
  } catch (error) {
    if (!(error instanceof StoreInUseError)) throw error;
    if (command !== "migrate") throw new Error(`${error.message}: stop it first`);
    say(`${error.message}, which has made it ready`);
    return 0;
  }
  try {
    // On this machine it is made by whoever comes first.
    if (command !== "migrate" && store.summary.kind === "local") await store.migrate();
    await work(store, settings);
  } finally {
    await store.close();
  }
  return 0;
}

/** @throws UsageError before anything is opened */
function workOf(command: string | undefined, rest: string[], values: Values): Work {
  if (command === undefined) throw new UsageError("a command is missing");
  const tooMuch = (left: string[]) => {
    if (left.length > 0) throw new UsageError(`this is too much: ${left.join(" ")}`);
  };
  const { platform, user: userId, from } = values;

  const only = ["platform", "user", "dry-run", "from", "without-redis"] as const;
  const stray = only.find((name) => values[name] !== undefined);
  switch (command) {
    case "migrate":
    case "prompt":
      if (stray) throw new UsageError(`--${stray} is for forget`);
      return command === "migrate" ? migrate(rest, tooMuch) : prompt(rest, tooMuch);
    case "forget":
      tooMuch(rest);
      if (!platform) throw new UsageError("forget needs --platform");
      if (!userId) throw new UsageError("forget needs --user");
      return (store, settings) =>
        runForget(store, settings, {
          user: { platform, userId },
          dryRun: values["dry-run"] ?? false,
          withoutRedis: values["without-redis"] ?? false,
          from,
        });
    default:
      throw new UsageError(`there is no command ${command}`);
  }
}

function migrate(rest: string[], tooMuch: (left: string[]) => void): Work {
  tooMuch(rest);
  return async (store) => {
    say(store.summary.what);
    await store.migrate((line) => say(`  ${line}`));
  };
}

function prompt([action, ...rest]: string[], tooMuch: (left: string[]) => void): Work {
  if (action === undefined || !["show", "set", "reset"].includes(action)) {
    throw new UsageError("prompt needs show, set or reset");
  }
  const file = action === "set" ? rest.shift() : undefined;
  if (action === "set" && file === undefined)
    throw new UsageError("prompt set needs a file, or - for standard input");
  tooMuch(rest);
  return async (store) => {
    const { prompts, close } = await store.tools();
    await runPrompt(prompts, action, file).finally(close);
  };
}

await exitWith("store", () => main(process.argv.slice(3)), {
  hint: "npm run store -- --help lists the commands",
});
