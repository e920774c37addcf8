import { all, type Drill, type Fault, share } from "./fault.ts";
import type { Strike } from "./wire.ts";

const saying = (status: number, code: string): Strike => ({
  kind: "answer",
  status,
  body: JSON.stringify({ error: { message: "Told to fail.", type: code, param: null, code } }),
});

export const modelStrikes = {
  "429": saying(429, "rate_limit_exceeded"),
  "500": saying(500, "server_error"),
  hangs: { kind: "hang" },
  "cut off": { kind: "cut" },
  garbage: { kind: "answer", status: 200, body: '{"id":"chatcmpl-1","choices":[{"index":0,' },
} as const satisfies Record<string, Strike>;

export async function failTelegram({ stage, seed }: Drill, faults: readonly TelegramFault[]) {
  const { control } = stage.botApi;
  const added = await Promise.all(
    faults.map((fault) => control.addFault({ method: "sendMessage", seed, ...fault })),
  );
  return async () => void (await Promise.all(added.map(({ id }) => control.removeFault({ id }))));
}
type TelegramFault = Omit<Parameters<Drill["stage"]["botApi"]["control"]["addFault"]>[0], "method" | "seed">;

/** Updates that were delivered come again, while the queue knows them. */
export async function repeatUpdates({ stage, seed }: Drill, probability: number) {
  await stage.botApi.control.duplicate({ probability, after_seconds: 5, seed });
  return () => stage.botApi.control.duplicate();
}

/** Of the 18 and more: an answer is sent long after its message was said. */
const FEW_SENDS = 5;

export const upstreamFaults: readonly Fault[] = [
  ...Object.entries(modelStrikes).map(
    ([name, strike]): Fault => ({
      name: `model ${name}`,
      inject: (drill) => share(drill, "model", 0.5, strike),
    }),
  ),
  { name: "model unreachable", inject: ({ stage }) => stage.wire.refuse("model") },
  {
    name: "telegram 429",
    strikes: FEW_SENDS,
    // In real seconds: the worker waits by the true clock.
    inject: (drill) => failTelegram(drill, [{ kind: "too_many_requests", probability: 0.5, retry_after: 1 }]),
  },
  {
    name: "telegram answers lost",
    strikes: FEW_SENDS,
    inject: (drill) =>
      failTelegram(drill, [
        { kind: "answer_lost", probability: 0.3 },
        { kind: "request_lost", probability: 0.1 },
      ]),
  },
  {
    name: "telegram repeats",
    inject: (drill) => repeatUpdates(drill, 0.5),
  },
  { name: "telegram unreachable", inject: ({ stage }) => stage.wire.refuse("telegram") },
  { name: "queue unreachable", inject: ({ stage }) => stage.wire.refuse("queue") },
  {
    name: "queue answers lost",
    inject: (drill) =>
      all(share(drill, "queue", 0.3, { kind: "lose" }), share(drill, "queue", 0.1, { kind: "drop" })),
  },
];
