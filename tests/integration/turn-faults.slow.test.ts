import { randomUUID } from "node:crypto";
import type { TurnResult } from "@parley/core/conversation/turns";
import { AppError } from "@parley/core/error";
import { Deadline } from "@parley/core/resilience/deadline";
import type { Fault as HttpFault } from "@parley/local/simulators/faults";
import { afterAll, beforeAll, expect, test } from "vitest";
import { allTurns } from "../support/all-turns.ts";
import { MINUTE_MS } from "../support/clock.ts";
import { fc } from "../support/property.ts";
import { type Rig, startRig } from "../support/rig.ts";

/** Clients that send again until they are answered, on engines that fail at random moments. */

const CHATS = 2;
const TURNS = 4;
const WORKERS = 4;
/** Sendings of one message before its client gives up, the last of them without faults. */
const ROUNDS = 5;

type Post = { chat: number; turn: number; worker: number };
type StoreFault = Parameters<Rig["storeEngine"]["inject"]>[0];
type Faults = { store: StoreFault[]; model: HttpFault[]; redis: "cut" | "hang" | "refuse" | undefined };

const posts: fc.Arbitrary<Post[]> = fc.array(
  fc.record({ chat: fc.nat(CHATS - 1), turn: fc.nat(TURNS - 1), worker: fc.nat(WORKERS - 1) }),
  { minLength: 1, maxLength: 12 },
);

const storeFault = ({ operations, tries }: Rig["storeEngine"]): fc.Arbitrary<StoreFault> =>
  fc
    .record({
      operation: fc.constantFrom(...operations),
      kind: fc.constantFrom("error", "drop-before", "drop-after", "conflict"),
      after: fc.nat(8),
      // Once, or until it is given up.
      times: fc.constantFrom(1, tries),
    })
    // Reads meet no rivals.
    .filter(
      ({ kind, operation }) => kind !== "conflict" || !["GetItem", "Query", "find"].includes(operation),
    );

const modelFault: fc.Arbitrary<HttpFault> = fc.constantFrom(
  { status: 500, times: 2 },
  { status: 401, times: 1 },
  { hang: true, times: 1 },
  { cut: true, times: 2 },
  { malformed: true, times: 2 },
  { delayMs: 50, times: 3 },
);

const faults = (engine: Rig["storeEngine"]): fc.Arbitrary<Faults> =>
  fc.record({
    store: fc.array(storeFault(engine), { maxLength: 4 }),
    model: fc.array(modelFault, { maxLength: 2 }),
    redis: fc.constantFrom(undefined, undefined, "cut", "hang", "refuse"),
  });

let rig: Rig;
let workers: ReturnType<Rig["worker"]>[];

beforeAll(async () => {
  rig = await startRig();
  workers = Array.from({ length: WORKERS }, () => rig.worker({ redisTimeoutMs: 100 }));
});
afterAll(() => rig?.close());

const messageOf = ({ chat, turn }: Post) => `Message ${turn} of chat ${chat}`;

function strike({ store, model, redis }: Faults): () => void {
  const lifts = [...store.map((fault) => rig.storeEngine.inject(fault)), ...model.map(rig.model.inject)];
  rig.upstash.fault = redis;
  return () => {
    for (const lift of lifts) lift();
    rig.upstash.fault = undefined;
  };
}

test("every message is stored once and answered once, whatever fails", { timeout: 120_000 }, async () => {
  const troubled = fc.array(faults(rig.storeEngine), { maxLength: ROUNDS - 1 });
  await fc.assert(
    fc.asyncProperty(posts, troubled, async (sent, troubles) => {
      const owner = randomUUID();
      const answers = new Map<string, TurnResult[]>();
      const turnIdOf = ({ chat, turn }: Post) => `${chat}-${turn}`;

      async function send(post: Post, deadlineMs: number): Promise<boolean> {
        const { conversations } = workers[post.worker] as (typeof workers)[number];
        const session = { platform: "telegram", userId: "user", chatId: String(post.chat) };
        const deadline = new Deadline(deadlineMs, { clock: rig.clock });
        const ask = { owner, session, message: messageOf(post), turnId: turnIdOf(post), deadline };
        try {
          const result = await conversations.converse(ask);
          answers.set(ask.turnId, [...(answers.get(ask.turnId) ?? []), result]);
          return true;
        } catch (error) {
          expect(error).toBeInstanceOf(AppError);
          return false;
        }
      }

      let unanswered = sent;
      for (const trouble of troubles) {
        const lift = strike(trouble);
        const answered = await Promise.all(unanswered.map((post) => send(post, 400)));
        lift();
        unanswered = unanswered.filter((_, index) => !answered[index]);
        // Past every lease, within every session.
        rig.clock.advance(MINUTE_MS);
      }
      for (const post of unanswered) expect(await send(post, 10_000)).toBe(true);
      await check(owner, sent, answers);
    }),
    { numRuns: 15 },
  );
});

async function check(owner: string, sent: Post[], answers: Map<string, TurnResult[]>): Promise<void> {
  const { store } = workers[0] as (typeof workers)[number];
  const chats = new Set(sent.map(({ chat }) => chat));
  const { items } = await store.list(owner, { size: 10 });
  expect(items).toHaveLength(chats.size);
  for (const { id, turnCount, title } of items) {
    const turns = await allTurns(store, id);
    expect(title).toBeTruthy();
    expect(turns.map(({ seq }) => seq)).toEqual(Array.from({ length: turnCount }, (_, index) => index + 1));
    const [chat] = turns[0]?.turnId.split("-").map(Number) ?? [];
    const wanted = new Set(sent.filter((post) => post.chat === chat).map(messageOf));
    expect(turns.map(({ message }) => message).toSorted()).toEqual([...wanted].toSorted());
    for (const { turnId, reply } of turns) {
      const told = answers.get(turnId) ?? [];
      expect(told.length).toBeGreaterThan(0);
      for (const result of told) expect(result).toMatchObject({ conversationId: id, reply });
      expect(told.filter(({ replayed }) => !replayed).length).toBeLessThanOrEqual(1);
    }
  }
}
