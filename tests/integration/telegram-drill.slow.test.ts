import { expect, test } from "vitest";
import { POISONED, runDrill } from "../support/telegram-drill.ts";

/** `DRILL_SEED=n npm run test:slow` draws other faults. */
const SEED = Number(process.env["DRILL_SEED"] ?? 20_260_101);

test("1,000 messages over 50 chats, through killed workers, repeated updates, lost answers and a new Redis", async () => {
  const report = await runDrill({ seed: SEED, chats: 50, messagesPerChat: 20 });
  process.stdout.write(`fault drill: DRILL_SEED=${SEED} ${JSON.stringify(report)}\n`);
  expect(report).toMatchObject({
    messages: 1_000,
    lost: [],
    doubled: [],
    disordered: [],
    unanswered: [POISONED],
    deadLetters: [POISONED],
    toldOfPoison: 1,
  });
  // The drill was one.
  expect(report.kills).toBeGreaterThanOrEqual(60);
  expect(report.duplicates).toBeGreaterThanOrEqual(25);
  expect(report.lostAnswers).toBeGreaterThanOrEqual(10);
  expect(report.uncertain.parts).toBeGreaterThanOrEqual(report.lostAnswers);
}, 600_000);
