import { setTimeout as sleep } from "node:timers/promises";
import type { SqsEvent, SqsRecord } from "@parley/local/queue/event";
import { startPoller } from "@parley/local/queue/poller";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { fc } from "../support/property.ts";
import type { QueueRig } from "../support/queue.ts";
import { DEAD, openQueue, QUEUE, VISIBILITY_S } from "../support/queue.ts";

/**
 * What the handler does with a message on one receive: succeed, succeed slowly, report it as failed, throw or answer
 * nonsense for its whole batch, or outlast the visibility timeout and then succeed.
 */
const ACTS = ["ok", "slow", "fail", "throw", "nonsense", "outlast"] as const;
type Act = (typeof ACTS)[number];

/** A message's acts by receive; after the last, it succeeds. */
type Plan = { group: number; acts: Act[] };

type Scenario = { plans: Plan[]; batchSize: number; maxConcurrency: number; maxReceiveCount: number };

const act = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom<Act>("ok", "slow") },
  { weight: 4, arbitrary: fc.constantFrom<Act>("fail", "throw", "nonsense") },
  { weight: 1, arbitrary: fc.constant<Act>("outlast") },
);
const scenarios: fc.Arbitrary<Scenario> = fc.record({
  plans: fc.array(fc.record({ group: fc.nat(4), acts: fc.array(act, { maxLength: 3 }) }), {
    minLength: 1,
    maxLength: 24,
  }),
  batchSize: fc.integer({ min: 1, max: 4 }),
  maxConcurrency: fc.integer({ min: 1, max: 4 }),
  maxReceiveCount: fc.integer({ min: 1, max: 3 }),
});

// Nothing returns to the queue but when the model says so, however slow the machine.
beforeEach(() => {
  vi.useFakeTimers({ toFake: ["Date"] });
});
afterEach(() => {
  vi.useRealTimers();
});

test("whatever a function does, each message is processed in its group's order or dead, and none is lost", async () => {
  await fc.assert(fc.asyncProperty(scenarios, checkScenario), {
    numRuns: 40,
    interruptAfterTimeLimit: 10_000,
  });
});

async function checkScenario(scenario: Scenario): Promise<void> {
  const queue = await openQueue({ maxReceiveCount: scenario.maxReceiveCount });
  const model = createModel(scenario, queue);
  const poller = await startPoller({
    endpoint: queue.url,
    queueUrl: queue.queueUrl(QUEUE),
    queueArn: queue.queueArn(QUEUE),
    invoke: model.handler,
    batchSize: scenario.batchSize,
    maxConcurrency: scenario.maxConcurrency,
    reportBatchItemFailures: true,
  });
  try {
    for (const [at, { group }] of scenario.plans.entries())
      await queue.send(String(at), { group: `g${group}` });
    while (queue.peek(QUEUE).length > 0) {
      if (poller.stats().inFlight === 0 && model.waitsForTime()) passVisibility();
      await sleep(2);
    }
    await poller.idle();
    model.checkEnd();
  } finally {
    await poller.close();
    await queue.close();
  }
}

function passVisibility(): void {
  vi.setSystemTime(Date.now() + VISIBILITY_S * 1000);
}

function createModel({ plans, maxReceiveCount }: Scenario, queue: QueueRig) {
  /** Indices of the messages in the order in which they were first processed. */
  const processed: number[] = [];
  const receives = new Map<number, number>();
  /** Receives whose invocation has ended. */
  const ended = new Set<string>();
  const busyGroups = new Set<string | undefined>();
  const violations: string[] = [];
  const outlasts = plans.some(({ acts }) => acts.includes("outlast"));
  const dead = () => queue.peek(DEAD).map(({ body }) => Number(body));
  const ofGroup = (group: number | undefined) =>
    [...plans.keys()].filter((index) => plans[index]?.group === group);

  function checkStart({ body, attributes }: SqsRecord): void {
    const index = Number(body);
    const count = Number(attributes.ApproximateReceiveCount);
    const last = receives.get(index) ?? 0;
    if (count !== last + 1) violations.push(`${index} has receive count ${count} after ${last}`);
    if (count > maxReceiveCount) violations.push(`${index} is received for the ${count}th time`);
    receives.set(index, count);
    const earlier = ofGroup(plans[index]?.group).filter((other) => other < index);
    const unsettled = earlier.filter((other) => !processed.includes(other) && !dead().includes(other));
    if (unsettled.length > 0) violations.push(`${index} comes before ${unsettled}`);
    // Beyond its visibility timeout a message may well be under way twice.
    if (!outlasts && busyGroups.has(attributes.MessageGroupId)) {
      violations.push(`${index} comes while its group is under way`);
    }
  }

  async function runActs(event: SqsEvent): Promise<unknown> {
    const batchItemFailures: { itemIdentifier: string }[] = [];
    for (const { body, messageId, attributes } of event.Records) {
      const index = Number(body);
      const next = plans[index]?.acts[Number(attributes.ApproximateReceiveCount) - 1] ?? "ok";
      if (next === "throw") throw new Error("on purpose");
      if (next === "nonsense") return { batchItemFailures: [{ itemIdentifier: "" }] };
      if (next === "slow") await sleep(5);
      if (next === "outlast") {
        passVisibility();
        await sleep(30);
      }
      if (next === "fail") batchItemFailures.push({ itemIdentifier: messageId });
      else if (!processed.includes(index)) processed.push(index);
    }
    return { batchItemFailures };
  }

  return {
    async handler(event: SqsEvent): Promise<unknown> {
      for (const record of event.Records) checkStart(record);
      const groups = event.Records.map(({ attributes }) => attributes.MessageGroupId);
      for (const group of groups) busyGroups.add(group);
      try {
        return await runActs(event);
      } finally {
        for (const group of groups) busyGroups.delete(group);
        for (const { messageId, attributes } of event.Records) {
          ended.add(`${messageId} ${attributes.ApproximateReceiveCount}`);
        }
      }
    },

    /** Every message is either in flight with its invocation over, or behind one of its group that is. */
    waitsForTime(): boolean {
      const messages = queue.peek(QUEUE);
      const inFlight = messages.filter((message) => message.inFlight);
      const blocked = new Set(inFlight.map(({ groupId }) => groupId));
      return (
        messages.every(({ groupId }) => blocked.has(groupId)) &&
        inFlight.every(({ messageId, receiveCount }) => ended.has(`${messageId} ${receiveCount}`))
      );
    },

    checkEnd(): void {
      expect(violations).toEqual([]);
      const given = dead();
      const all = [...plans.keys()];
      expect(all.filter((index) => !processed.includes(index) && !given.includes(index))).toEqual([]);
      for (const group of new Set(plans.map((plan) => plan.group))) {
        const inGroup = new Set(ofGroup(group));
        // A message may die while an invocation that outlasts its time is still at it.
        const alive = processed.filter((index) => !given.includes(index));
        for (const order of [alive, given]) {
          const actual = order.filter((index) => inGroup.has(index));
          expect(actual).toEqual(actual.toSorted((a, b) => a - b));
        }
      }
      for (const index of given) expect(receives.get(index)).toBe(maxReceiveCount);
    },
  };
}
