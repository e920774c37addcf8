import { spawnSync } from "node:child_process";
import { pathToFileURL } from "node:url";
import { budget, budgets, timeBudget } from "../infra/budgets.ts";
import { BARE, type Bundle } from "./bundle.ts";
import { kilobytes, median, type Table, VERDICTS, verdict } from "./report.ts";

/** What a client waits for. */
const API = Object.keys(budgets).filter(
  (name) => name.endsWith("-conversation") || name.endsWith("-conversations"),
);

/** What each function takes to start, in fresh processes in turns, and what it weighs. */
export function measureStart(bundles: readonly Bundle[], runs: number): Table[] {
  const times = new Map<string, number[]>(bundles.map(({ name }) => [name, []]));
  // The first round warms the disk.
  for (let run = 0; run <= runs; run++) {
    for (const bundle of bundles) {
      const ms = importMs(bundle);
      if (run > 0) times.get(bundle.name)?.push(ms);
    }
  }
  const bare = times.get(BARE) ?? [];
  // To the bare handler of the same round: what else the machine did then slowed both.
  const ratio = (name: string) =>
    median((times.get(name) ?? []).map((ms, run) => ms / (bare[run] ?? Number.NaN)));
  const slowest = Math.max(...API.map(ratio));
  return [
    {
      title: `Start (import in a fresh process, tracing off; bare ${median(bare).toFixed(0)} ms; median of ${runs} rounds) and size`,
      rows: [
        ["function", "ratio to bare", "zip KB", "start KB", "traced KB", "total KB"],
        ...bundles.map(({ name, zipBytes, staticBytes, tracedBytes, totalBytes }) => [
          name,
          ratio(name).toFixed(2),
          ...[zipBytes, staticBytes, tracedBytes, totalBytes].map(kilobytes),
        ]),
      ],
    },
    {
      title: "Functions of the API, the heaviest of each",
      rows: [
        ["", ...VERDICTS],
        verdict("start, ratio to bare", slowest, {
          holds: timeBudget.holds.startRatio,
          excellent: timeBudget.excellent.startRatio,
          unit: "",
          digits: 2,
        }),
        ...sizes(bundles),
      ],
    },
  ];
}

function importMs({ name, file }: Bundle): number {
  const startedAt = performance.now();
  const { status, stderr } = spawnSync(
    process.execPath,
    [
      "--input-type=module",
      "-e",
      `await import(${JSON.stringify(pathToFileURL(file).href)}); process.exit(0)`,
    ],
    { env: { ...process.env, POWERTOOLS_TRACE_ENABLED: "false" }, encoding: "utf8" },
  );
  if (status !== 0) throw new Error(`${name} does not load: ${stderr}`);
  return performance.now() - startedAt;
}

function sizes(bundles: readonly Bundle[]): string[][] {
  const api = bundles.filter(({ name }) => API.includes(name));
  const row = (
    title: string,
    column: keyof typeof budget.holds,
    of: (bundle: Bundle) => number,
    among = api,
  ): string[] =>
    verdict(title, Math.max(...among.map(of)) / 1_000, {
      holds: budget.holds[column],
      excellent: budget.excellent[column],
      unit: " KB",
    });
  const answers = ({ name }: Bundle) => budgets[name]?.beyond?.zip !== undefined;
  return [
    row(
      "zip, of those that do not answer",
      "zip",
      (one) => one.zipBytes,
      api.filter((one) => !answers(one)),
    ),
    row("start, code", "start", (one) => one.staticBytes),
    row("start, code with X-Ray's", "traced", (one) => one.tracedBytes),
    row("total, with OpenAI's", "total", (one) => one.totalBytes),
  ];
}
