import { expect, test } from "vitest";
import { checkBreaker } from "../drill/breaker.ts";
import { checkBudgets } from "../drill/budgets.ts";
import { type Evidence, invariants } from "../drill/invariants.ts";
import type { BudgetEntry, Transition } from "../drill/recorder.ts";
import type { Attempt } from "../drill/traffic.ts";

const CHAT = 1;
const reply = (name: string, before: readonly string[] = []) =>
  [`Answer 1 to [${name}] after`, ...before.map((each) => `(${each}=${each})`)].join(" ");
const outcome = { kind: "result", result: null, instance: 0, ms: 100, disturbed: false } as const;
const answered = {
  outcome,
  status: 200,
  headers: {},
  body: "{}",
  ms: 100,
  limitMs: undefined,
} satisfies Attempt;

function turnRow(name: string, seq: number, conversation: string, text: string) {
  const reply = { text };
  return { turn_id: name, message: `[${name}] Hello again.`, conversation_id: conversation, seq, reply };
}

/** One conversation of the API's and one of Telegram's, two turns each, and all is well. */
function evidence() {
  const texts = {
    c0m0: reply("c0m0"),
    c0m1: reply("c0m1", ["c0m0"]),
    c1m0: reply("c1m0"),
    c1m1: reply("c1m1", ["c1m0"]),
  };
  const rows: Record<string, unknown>[] = Object.entries(texts).map(([name, text]) =>
    turnRow(name, Number(name.at(-1)) + 1, `conv_${name[1]}`, text),
  );
  const parts = (name: "c1m0" | "c1m1") => [{ text: texts[name], entities: [], state: "sent" }];
  const entries = [{ entry: { parts: parts("c1m0") } }, { entry: { parts: parts("c1m1") } }];
  const turn = (name: "c0m0" | "c0m1" | "c1m0" | "c1m1", conversation: number) => ({
    ...{ name, conversation, city: undefined, fault: "none", saidAt: 0, answeredAt: 1 },
    ...(conversation === 0 && { told: { conversationId: "conv_0", reply: texts[name] } }),
    attempts: conversation === 0 ? [{ ...answered } as Attempt] : [],
  });
  return {
    conversations: [
      { number: 0, kind: "id" as const, turns: [turn("c0m0", 0), turn("c0m1", 0)] },
      { number: CHAT, kind: "telegram" as const, turns: [turn("c1m0", 1), turn("c1m1", 1)] },
    ],
    rows: [...rows, ...entries],
    chats: new Map([[CHAT, [texts.c1m0, texts.c1m1]]]),
    askedTooSoon: new Set<string>(),
    deadLetters: [] as string[],
    invocations: [outcome],
  } satisfies Evidence;
}

type Well = ReturnType<typeof evidence>;

async function judge(spoil: (well: Well) => void): Promise<string[]> {
  const spoilt = evidence();
  spoil(spoilt);
  return (await Promise.all(invariants.map((invariant) => invariant(spoilt)))).flat();
}

const attempt = (well: Well) => well.conversations[0]?.turns[0]?.attempts[0] as Attempt;
const row = (well: Well, at: number) => well.rows[at] as Record<string, unknown>;
const chat = (well: Well) => well.chats.get(CHAT) as string[];

test("nothing is found where all is well", async () => {
  expect(await judge(() => {})).toEqual([]);
});

test.each<[string, string, (well: Well) => void]>([
  ["a turn that is not stored", "nothing lost: c0m1 is not stored", (well) => void well.rows.splice(1, 1)],
  ["a turn without a reply", "nothing lost: c0m1 has no reply", (well) => delete row(well, 1)["reply"]],
  [
    "a turn stored twice",
    "no duplicate: c0m1 is stored 2 times",
    (well) => void well.rows.push(row(well, 1)),
  ],
  [
    "a turn that nobody said",
    "nothing invented: c7m7",
    (well) => void well.rows.push(turnRow("c7m7", 1, "x", reply("c7m7"))),
  ],
  [
    "another's reply",
    "no crossing: the reply to c0m1 is c1m1's",
    (well) => (row(well, 1)["reply"] = { text: reply("c1m1") }),
  ],
  ["a gap in the sequence", "order kept: conversation 0 is", (well) => (row(well, 1)["seq"] = 3)],
  [
    "turns that changed places",
    "order kept: conversation 0 is c0m1 c0m0",
    (well) => ([row(well, 0)["seq"], row(well, 1)["seq"]] = [2, 1]),
  ],
  [
    "a conversation that fell apart",
    "order kept: conversation 0 fell into 2",
    (well) => (row(well, 1)["conversation_id"] = "conv_9"),
  ],
  [
    "another's history",
    "no crossing: for c0m1 the model was sent c1m0=c1m0",
    (well) => (row(well, 1)["reply"] = { text: reply("c0m1", ["c1m0"]) }),
  ],
  [
    "a history that is lost",
    "no crossing: for c0m1 the model was sent nothing",
    (well) => (row(well, 1)["reply"] = { text: reply("c0m1") }),
  ],
  [
    "a client that was never told",
    "answered in time: c0m0 never was",
    (well) => Object.assign(well.conversations[0]?.turns[0] ?? {}, { told: undefined }),
  ],
  [
    "a client that was told otherwise",
    "no crossing: c0m0 was told something else",
    (well) => (row(well, 0)["reply"] = { text: `${reply("c0m0")}.` }),
  ],
  [
    "the model before the store",
    "stored before the model is asked: c0m0",
    (well) => void well.askedTooSoon.add("c0m0"),
  ],
  [
    "an error that says nothing",
    "a clear error in time: c0m0: 500",
    (well) => Object.assign(attempt(well), { status: 500, body: '{"code":"internal","msg":"?"}' }),
  ],
  [
    "an answer that is too late",
    "a clear error in time: c0m0: 60000 ms",
    (well) => Object.assign(attempt(well), { ms: 60_000 }),
  ],
  [
    "a process that ends by itself",
    "a clear error in time: c0m0: crash",
    (well) => Object.assign(attempt(well), { outcome: { ...outcome, kind: "crash" } }),
  ],
  [
    "a worker that throws",
    "a clear error in time: the Telegram worker",
    (well) => Object.assign(well.invocations, [{ ...outcome, kind: "error", error: "thrown" }]),
  ],
  ["a dead letter", "nothing lost: c1m1 is a dead letter", (well) => void well.deadLetters.push("c1m1")],
  [
    "a part that is not shown",
    "nothing lost: not in chat 1: Answer 1 to [c1m1]",
    (well) => void chat(well).pop(),
  ],
  [
    "a part shown twice",
    "no duplicate: in chat 1 2 times",
    (well) => void chat(well).push(chat(well)[1] ?? ""),
  ],
  ["parts that changed places", "order kept: chat 1 is disordered", (well) => void chat(well).reverse()],
  [
    "another's words in a chat",
    "no crossing: in chat 1: Answer 1 to [c0m0]",
    (well) => void chat(well).push(reply("c0m0")),
  ],
  [
    "a part that is never sent",
    "answered in time: c1m1 never was",
    (well) => (row(well, 5)["entry"] = { parts: [{ text: reply("c1m1"), entities: [], state: "pending" }] }),
  ],
])("%s is found", async (_, found, spoil) => {
  expect((await judge(spoil)).join("\n")).toContain(found);
});

/** Three failures open it at 0.3 s, and after the cooldown a probe closes it. */
function circuit(): Transition[] {
  const step = (
    at: number,
    op: "acquire" | "settle",
    attempt: string,
    generation: string,
    rest: Partial<Transition>,
  ) => ({
    ...{ instance: 0, provider: "weatherapi", op, attempt, generation, outcome: "", reply: [] },
    ...{ askedAt: at, doneAt: at + 1 },
    ...rest,
  });
  const failing = (at: number, attempt: string, reply: string[]) => [
    step(at, "acquire", attempt, "", { reply: ["closed", "0"] }),
    step(at + 50, "settle", attempt, "0", { outcome: "failure", reply }),
  ];
  return [
    ...[...failing(100, "a", []), ...failing(200, "b", []), ...failing(300, "c", ["open"])],
    step(500, "acquire", "d", "", { reply: ["refused", "850", "open"] }),
    step(1_400, "acquire", "e", "", { reply: ["half_open", "2"] }),
    step(1_500, "settle", "e", "2", { outcome: "ok", reply: ["closed"] }),
  ];
}

const judgeCircuit = (spoil: (own: Transition[]) => void, calls = 4) => {
  const transitions = circuit();
  spoil(transitions);
  return checkBreaker({ transitions, calls, blind: 0 }).join("\n");
};

test("a circuit as it should be", () => expect(judgeCircuit(() => {})).toBe(""));

test.each<[string, string, (own: Transition[]) => void, number?]>([
  ["a call that nobody let through", "5 calls, and 4 were let through", () => {}, 5],
  [
    "two probes at once",
    "2 probes at once in generation 2",
    (own) => void own.push({ ...(own[7] as Transition), attempt: "f" }),
  ],
  [
    "a probe before its time",
    "a probe after",
    (own) => Object.assign(own[7] as Transition, { askedAt: 900, doneAt: 901 }),
  ],
  [
    "a circuit that opens too soon",
    "opened after 2 to 2 failures instead of 3",
    (own) => void own.splice(2, 2),
  ],
  [
    "a circuit that opens too late",
    "opened after 4 to 4 failures instead of 3",
    (own) => void own.unshift({ ...(own[1] as Transition), attempt: "z", askedAt: 0, doneAt: 1 }),
  ],
])("%s is found", (_, found, spoil, calls = 4) => {
  expect(judgeCircuit(spoil, calls)).toContain(found);
});

const entry = (op: "reserve" | "settle", call: string, tokens: number): BudgetEntry => ({
  ...{ op, call, tokens, nanoUsd: 0, refused: false, keys: ["user"] },
});
const refusal: BudgetEntry = { ...entry("reserve", "c", 900), refused: true };
/** One call that was settled, told twice, and one whose worker died. */
const entries = [
  ...[entry("reserve", "a", 900), entry("reserve", "b", 900), refusal],
  ...[entry("settle", "a", 120), entry("settle", "a", 120)],
];
const judgeBudgets = (rest: { tokens: number; modelTokens: number; blind?: number }) =>
  checkBudgets({
    before: new Map(),
    after: new Map([["user", { tokens: rest.tokens, nanoUsd: 0 }]]),
    ...{ entries, modelTokens: rest.modelTokens, blind: rest.blind ?? 0 },
  }).join("\n");

test("a budget as it should be", () => {
  expect(judgeBudgets({ tokens: 1_020, modelTokens: 1_000 })).toBe("");
  expect(judgeBudgets({ tokens: 1_020, modelTokens: 5_000, blind: 1 })).toBe("");
});

test.each([
  ["a call counted twice", { tokens: 1_140, modelTokens: 0 }, "user has grown by"],
  ["a call not counted", { tokens: 900, modelTokens: 0 }, "user has grown by"],
  ["tokens that nobody paid for", { tokens: 1_020, modelTokens: 1_021 }, "1020 tokens were charged"],
])("%s is found", (_, rest, found) => expect(judgeBudgets(rest)).toContain(found));
