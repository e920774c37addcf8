import { rm } from "node:fs/promises";
import { fileURLToPath, pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import { brokenBuilds, withBroken } from "./broken.ts";
import { faults, runDrill } from "./run.ts";

const names = faults.map(({ name }) => name);
const HELP = `npm run drill [-- --seed N] [--only FAULT,...] [--broken BUILD]

Runs the whole service, instances as processes of their own, under 20 conversations at once, lets one thing after another go
wrong, and checks after each that nothing was lost, doubled, reordered or mixed up, and that everybody had an answer or a
clear error in time. Ends with 1 when something does not hold.

  --seed N        draws whom a fault strikes and when; default 1
  --only FAULT    these alone, separated by commas: ${names.join(", ")}
  --broken BUILD  a copy of the product with a fault of its own, to see the drill catch it: ${Object.keys(brokenBuilds).join(", ")}
`;

const ROOT = new URL("../../", import.meta.url);

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      ...{ seed: { type: "string", default: "1" }, only: { type: "string" } },
      ...{ broken: { type: "string" }, help: { type: "boolean" } },
    },
  });
  if (values.help) {
    process.stdout.write(HELP);
    return 0;
  }
  const seed = Number(values.seed);
  if (!Number.isSafeInteger(seed)) throw new Error("--seed takes a whole number");
  const only = values.only?.split(",").map((name) => name.trim());
  const unknown = only?.find((name) => !names.includes(name));
  if (unknown !== undefined)
    throw new Error(`there is no fault ${JSON.stringify(unknown)}: ${names.join(", ")}`);
  const chosen = faults.filter(({ name }) => only === undefined || only.includes(name));
  // Several drills may run at once.
  const logFolder = fileURLToPath(new URL(`.local/drill/${process.pid}`, ROOT));
  const run = (product: string) => runDrill({ seed, faults: chosen, product, logFolder });
  const broken =
    values.broken === undefined
      ? await run(ROOT.href)
      : await withBroken(values.broken, (root) => run(`${pathToFileURL(root).href}/`));
  if (broken.length === 0) {
    await rm(logFolder, { recursive: true });
    return 0;
  }
  const again = ["npm run drill -- --seed", seed, ...(only ? [`--only "${only.join()}"`] : [])].join(" ");
  process.stdout.write(`\n${broken.length} times something does not hold (${again}):\n`);
  for (const each of broken) process.stdout.write(`  ${each}\n`);
  process.stdout.write(`What the instances logged is in ${logFolder}\n`);
  return 1;
}

try {
  process.exitCode = await main();
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 2;
}
