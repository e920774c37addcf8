import { mkdir, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { pathToFileURL } from "node:url";
import { DEFAULT_MODEL } from "@parley/core/budget/price";
import { priceOf } from "@parley/core/budget/prices";
import { NAMESPACE } from "@parley/core/metrics";
import { routes } from "@parley/functions/api/routes";
import { alarmState } from "@parley/local/cloudwatch/alarms";
import type { Datum } from "@parley/local/cloudwatch/emf";
import { type AlarmState, renderPage } from "@parley/local/cloudwatch/page";
import { MetricStore, type Range } from "@parley/local/cloudwatch/store";
import { runUntilStopped } from "@parley/local/stop";
import { DEAD_LETTERS, QUEUE } from "@parley/local/telegram-stack";
import { alarms } from "../../infra/alarms.ts";
import { dashboardBody } from "../../infra/dashboard.ts";
import type { Deployment } from "../../infra/metrics.ts";
import { findBrowser, startBrowser } from "../../tests/support/browser.ts";
import { load, warmUp } from "./load.ts";
import { API_ID, startObserved } from "./stack.ts";

/** The names that things have on this machine. */
const DEPLOYMENT: Deployment = {
  stage: "on this machine",
  region: "local",
  namespace: NAMESPACE,
  apiId: API_ID,
  functions: Object.fromEntries(
    [...routes.map(({ name }) => name), "telegram-worker"].map((name) => [name, name]),
  ),
  table: "parley",
  queue: QUEUE,
  deadLetterQueue: DEAD_LETTERS,
  model: DEFAULT_MODEL,
  price: priceOf(DEFAULT_MODEL),
};
/** Points of a graph, about. */
const POINTS = 45;
/** For turns under way, and for what was printed to arrive. */
const SETTLE_MS = 3_000;

export type Settings = {
  seconds: number;
  /** The page's file, ending in `.html`. */
  out: string;
};

/** Runs the load and draws the page. Returns the exit code. */
export const run = (settings: Settings): Promise<number> =>
  runUntilStopped((stopping) => loadAndDraw(settings, stopping));

const tell = (what: string) => process.stderr.write(`${what}\n`);

async function loadAndDraw({ seconds, out }: Settings, stopping: AbortSignal): Promise<number> {
  tell("starting the local stack");
  const stack = await startObserved();
  let [start, end] = [Date.now(), Date.now()];
  try {
    await warmUp(stack);
    await sleep(SETTLE_MS);
    stack.data.length = 0;
    start = Date.now();
    const since = () => `${String(Math.round((Date.now() - start) / 1_000)).padStart(3)} s`;
    await Promise.race([
      load(stack, seconds, (what) => tell(`${since()}  ${what}`)),
      new Promise<never>((_, reject) => stopping.addEventListener("abort", () => reject(stopping.reason))),
    ]);
    tell(`${since()}  over; waiting for what is under way`);
    await sleep(SETTLE_MS);
    end = Date.now();
  } finally {
    await stack.close();
  }
  const html = draw(stack.data, start, end);
  await mkdir(dirname(out), { recursive: true });
  await writeFile(out, html);
  process.stdout.write(`${out}\n`);
  const picture = await photograph(out);
  if (picture) process.stdout.write(`${picture}\n`);
  else tell("no chromium on PATH: no picture");
  return 0;
}

function draw(data: readonly Datum[], start: number, end: number): string {
  const store = new MetricStore();
  store.add(data);
  const alarmList = alarms(DEPLOYMENT);
  const arns = new Map(alarmList.map((alarm) => [`arn:aws:cloudwatch:local:alarm:${alarm.name}`, alarm]));
  const states = [...arns].map(([arn, alarm]): [string, AlarmState] => [
    arn,
    alarmState(alarm, store, { start, end }),
  ]);
  const periodMs = Math.max(2_000, Math.ceil((end - start) / POINTS / 1_000) * 1_000);
  const range: Range = { start, periodMs, count: Math.ceil((end - start) / periodMs) };
  const seconds = Math.round((end - start) / 1_000);
  return renderPage({
    title: "Parley on this machine",
    widgets: dashboardBody(DEPLOYMENT, [...arns.keys()]).widgets,
    store,
    range,
    alarmStates: new Map(states),
    note: `The CloudWatch dashboard of infra/dashboard.ts with ${data.length} values emitted on this machine in ${seconds} s, ${new Date(start).toISOString().slice(0, 10)}; one point is ${periodMs / 1_000} s. Model, weather and Telegram are simulated and made to fail. Alarms as if the run were their window; (AWS): only there.`,
  });
}

/** All of the page as a PNG beside it; undefined without a browser. */
async function photograph(page: string): Promise<string | undefined> {
  const executable = findBrowser();
  if (executable === undefined) return undefined;
  const browser = await startBrowser(executable);
  try {
    const tab = await browser.newPage({ viewport: { width: 1_680, height: 1_000 } });
    await tab.goto(pathToFileURL(page).href);
    const path = page.replace(/\.html$/, ".png");
    await tab.screenshot({ path, fullPage: true });
    return path;
  } finally {
    await browser.close();
  }
}
