import { resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

const HELP = `npm run dashboard [-- --seconds N] [--out <file>]

Runs the functions against local engines for N seconds (20 to 600, default 90) with visitors of the API and of Telegram,
while one thing after the other fails; then draws the CloudWatch dashboard of infra/dashboard.ts with what the functions
emitted: an HTML page that loads nothing (default .local/dashboard.html), and beside it a PNG where chromium is installed.
What only AWS measures is marked. Everything stays on this machine.

  --seconds <n>   how long
  --out <file>    the page, ending in .html
  -h, --help
`;

const options = {
  seconds: { type: "string", default: "90" },
  out: {
    type: "string",
    default: fileURLToPath(new URL("../.local/dashboard.html", import.meta.url)),
  },
  help: { type: "boolean", short: "h" },
} as const;

class UsageError extends Error {}

function parse(args: string[]) {
  try {
    return parseArgs({ args, options }).values;
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}

/** Returns the exit code. */
async function main(args: string[]): Promise<number> {
  const { help, seconds: given, out } = parse(args);
  if (help) {
    process.stdout.write(HELP);
    return 0;
  }
  const seconds = Number(given);
  if (!(Number.isInteger(seconds) && seconds >= 20 && seconds <= 600)) {
    throw new UsageError(`--seconds is ${given}, not 20 to 600`);
  }
  if (!out.endsWith(".html")) throw new UsageError(`--out is ${out}, which does not end in .html`);
  const { run } = await import("./dashboard/run.ts");
  return run({ seconds, out: resolve(out) });
}

try {
  // Visitors of an interrupted run are still asking.
  process.exit(await main(process.argv.slice(2)));
} catch (error) {
  if (!(error instanceof UsageError)) throw error;
  process.stderr.write(`${error.message}\n\n${HELP}`);
  process.exitCode = 2;
}
