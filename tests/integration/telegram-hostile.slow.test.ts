import { parseUpdate, placeKey, triage } from "@parley/core/telegram/update";
import { bodyOf } from "@parley/functions/telegram/queue";
import { afterAll, beforeAll, expect, test } from "vitest";
import { fc } from "../support/property.ts";
import { BOT, hostileUpdates } from "../support/telegram-messages.ts";
import { startTelegramRig, type TelegramRig } from "../support/telegram-rig.ts";

const UPDATES = 500;
const EVERYBODY = { users: new Set<number>(), chats: new Set<number>() };

let rig: TelegramRig;

beforeAll(async () => {
  rig = await startTelegramRig();
});
afterAll(() => rig.close());

test("whatever the receiver lets through, the worker is done with at once", {
  timeout: 120_000,
}, async () => {
  const queued = fc.sample(hostileUpdates, UPDATES).flatMap((wild, update_id) => {
    const update = parseUpdate({ ...(wild as object), update_id });
    if (!update) return [];
    const decision = triage(update, BOT, EVERYBODY);
    return decision.action === "queue" ? [{ update, place: decision.place }] : [];
  });
  expect(queued.length).toBeGreaterThan(UPDATES / 20);
  for (const { update, place } of queued) {
    const body = bodyOf({ bot: BOT.name, requestId: "hostile", update });
    await rig.queue.send(body, { group: placeKey(place), id: String(update.update_id) });
  }
  await rig.idle();
  expect(rig.output().filter((line) => line.includes('"ERROR"'))).toEqual([]);
  expect(rig.poller.stats().results).toEqual({
    success: queued.length,
    partial: 0,
    error: 0,
    invalid_response: 0,
  });
  process.stdout.write(`${queued.length} hostile updates went through the worker\n`);
});
