// One instance of the product as a process of its own: the functions' real handlers, called over the channel to the
// parent. The product is that under `DRILL_PRODUCT`, which may be a copy that was broken on purpose.
import { createJumpingClock } from "./jumping-clock.ts";

export type Order =
  | { id: number; entry: string; event: unknown; limitMs: number }
  /** From now on the wall clock is that far ahead of the true one. */
  | { aheadMs: number };
export type Word =
  | { ready: true }
  | { id: number; result: unknown }
  /** The function threw. */
  | { id: number; error: string };

type Handler = (event: unknown, context: object) => Promise<unknown>;

const clock = createJumpingClock();
const { DRILL_PRODUCT = "", DRILL_ENTRIES = "" } = process.env;
const load = (module: string) => import(new URL(`packages/functions/src/${module}`, DRILL_PRODUCT).href);

const handlers = new Map<string, Handler>();
for (const entry of DRILL_ENTRIES.split(","))
  handlers.set(entry, ((await load(entry)) as { handler: Handler }).handler);
// What the first turn would load.
await Promise.all([load("assistant.ts"), import("openai/client")]);

const say = (word: Word) => process.send?.(word);

async function run({ id, entry, event, limitMs }: Extract<Order, { id: number }>): Promise<void> {
  const endsAt = Date.now() + limitMs;
  const context = {
    functionName: entry,
    awsRequestId: crypto.randomUUID(),
    memoryLimitInMB: "1024",
    invokedFunctionArn: `arn:aws:lambda:us-east-1:000000000000:function:${entry}`,
    // By the wall clock, as Lambda's own.
    getRemainingTimeInMillis: () => Math.max(0, endsAt - Date.now()),
  };
  try {
    const result = await handlers.get(entry)?.(event, context);
    say({ id, result });
  } catch (error) {
    say({ id, error: error instanceof Error ? (error.stack ?? error.message) : String(error) });
  }
}

process.on("message", (order: Order) => {
  if ("aheadMs" in order) clock.aheadMs = order.aheadMs;
  else void run(order);
});
process.on("disconnect", () => process.exit());
say({ ready: true });
