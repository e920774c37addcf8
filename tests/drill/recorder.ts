import type { Passing } from "./passing.ts";
import type { Answered, Watcher } from "./wire.ts";

/** A transition of a circuit as Redis answered it. Times by `performance.now()`; Redis did it somewhere between them. */
export type Transition = {
  instance: number;
  provider: string;
  op: "acquire" | "settle";
  attempt: string;
  generation: string;
  outcome: string;
  /** `acquire`: closed, half_open or refused, and the generation. `settle`: the new state where it changed. */
  reply: readonly string[];
  askedAt: number;
  doneAt: number;
};

/** What Redis was told of a call's budget. */
export type BudgetEntry = {
  op: "reserve" | "settle";
  call: string;
  keys: readonly string[];
  tokens: number;
  nanoUsd: number;
  refused: boolean;
};

export type Recorder = ReturnType<typeof startRecorder>;

/** Keeps what the checks need of all that passed the wire. */
export function startRecorder() {
  const stored = new Set<string>();
  const saidAt = new Map<string, number>();
  const askedTooSoon = new Set<string>();
  const transitions: Transition[] = [];
  const weatherCalls: Passing[] = [];
  const budgetEntries: BudgetEntry[] = [];
  let modelTokens = 0;

  /** Or perhaps said, and never again. */
  function said({ operation, turn }: Passing) {
    if (operation === "sendMessage" && turn !== undefined && !saidAt.has(turn))
      saidAt.set(turn, performance.now());
  }

  const watcher: Watcher = {
    broken(passing) {
      if (passing.engine === "telegram") said(passing);
    },
    asked(passing) {
      const { engine, operation, turn } = passing;
      if (engine === "model" && operation === "reply" && turn !== undefined && !stored.has(turn)) {
        askedTooSoon.add(turn);
      }
      if (engine === "weather") weatherCalls.push(passing);
    },
    done(passing, answer) {
      const { engine, operation, turn, body } = passing;
      if (turn !== undefined && answer.status === 200) {
        if (engine === "store" && operation === "TransactWriteItems" && body.includes('"turn_id"'))
          stored.add(turn);
        if (engine === "telegram") said(passing);
      }
      if (engine === "model" && answer.status === 200) modelTokens += tokensOf(answer);
      if (engine === "redis" && body.includes("budget:{"))
        budgetEntries.push(...budgetEntryOf(passing, answer));
      if (engine === "redis" && body.includes("breaker:{"))
        transitions.push(...transitionOf(passing, answer));
    },
  };

  return {
    ...watcher,
    stored,
    /** When Telegram was sent a turn's answer. */
    saidAt,
    /** Turns of which the model was asked before they were in the store. */
    askedTooSoon,
    transitions,
    /** Requests to the first weather provider. */
    weatherCalls,
    budgetEntries,
    /** Of all that the model has answered. */
    modelTokens: () => modelTokens,
  };
}

function transitionOf({ instance, at, body }: Passing, { status, body: answer }: Answered): Transition[] {
  if (status !== 200) return [];
  const [, , , key = "", , op, attempt = "", generation = "", outcome = ""] = JSON.parse(body) as string[];
  const { result } = JSON.parse(answer.toString()) as { result: string[] };
  const provider = /\{(.*)\}/.exec(key)?.[1] ?? "";
  // As the client asks for them.
  const reply = result.map((text) => Buffer.from(text, "base64").toString());
  const doneAt = performance.now();
  return [
    {
      instance,
      provider,
      op: op as Transition["op"],
      attempt,
      generation,
      outcome,
      reply,
      askedAt: at,
      doneAt,
    },
  ];
}

function tokensOf({ body }: Answered): number {
  const { usage } = JSON.parse(body.toString()) as { usage: { total_tokens: number } };
  return usage.total_tokens;
}

function budgetEntryOf({ body }: Passing, { status, body: answer }: Answered): BudgetEntry[] {
  if (status !== 200) return [];
  const [, , count, ...rest] = JSON.parse(body) as string[];
  const [op, call = "", tokens, nanoUsd] = rest.slice(Number(count));
  const { result } = JSON.parse(answer.toString()) as { result: string[] };
  const amount = { tokens: Number(tokens), nanoUsd: Number(nanoUsd) };
  const keys = rest.slice(0, Number(count));
  return [{ op: op as BudgetEntry["op"], call, keys, ...amount, refused: result.length > 0 }];
}
